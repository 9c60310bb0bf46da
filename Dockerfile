# The image: one static binary and the CA certificates, nothing else. There is no shell, no package manager and no file
# that anybody could write to; it runs as any user and with a read-only root file system.
#
#   docker build -t topic-gateway:0.1.0 .

# The oldest Rust that Cargo.toml admits, so that the image shows it is enough.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The target is named although it is the host's: otherwise the flags would apply to macros and build scripts too, which
# cannot be static. A static glibc resolves names by /etc/hosts and DNS without any file of its own.
RUN host="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --profile image --bin topic-gateway --target "$host" \
    && install -D "target/$host/image/topic-gateway" /image/topic-gateway \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt

FROM scratch
LABEL org.opencontainers.image.title="topic-gateway" \
      org.opencontainers.image.description="Kubernetes operator and WebSocket gateway on NATS" \
      org.opencontainers.image.licenses="Apache-2.0"
# File by file: tests/cluster/image makes the same image without an engine, and holds its files to this list.
COPY --from=build /image/topic-gateway /topic-gateway
COPY --from=build /image/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A number, so that the kubelet can tell that it is not root.
USER 65532:65532
# For people; the ports in use are those of the resource and of --admin.
EXPOSE 8080 9090
ENTRYPOINT ["/topic-gateway"]
