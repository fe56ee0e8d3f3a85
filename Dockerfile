# syntax=docker/dockerfile:1

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
# A static binary: the runtime image has no C library and no shell.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=${VERSION}" \
      -o /out/ostiary ./cmd/ostiary

FROM gcr.io/distroless/static-debian12:nonroot
LABEL org.opencontainers.image.title="Ostiary" \
      org.opencontainers.image.description="Authorization platform for MCP servers" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ostiary /ostiary
COPY LICENSE /LICENSE
USER nonroot:nonroot
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/ostiary", "healthcheck"]
ENTRYPOINT ["/ostiary"]
CMD ["serve"]
