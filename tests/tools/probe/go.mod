module topic-gateway/tests/tools/probe

go 1.26.0
