module topic-gateway/tests/tools/pause

go 1.26.0
