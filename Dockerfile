# The server in an image: some 40 MB, no shell, no root, nothing written outside /data.
#
#   docker build -t parlante .
#
# Both bases are pinned by digest; the tag before it says what the digest is. To move on, change both together:
# `docker buildx imagetools inspect rust:1.95.0-slim-trixie` prints the digest of a tag.

FROM rust:1.95.0-slim-trixie@sha256:81099830a1e1d244607b9a7a30f3ff6ecadc52134a933b4635faba24f52840c9 AS build
WORKDIR /src

# The dependencies, in a layer of their own: it is built again only when a manifest or the lock changes. Cargo wants
# sources for every crate of the workspace, so it gets empty ones.
COPY Cargo.toml Cargo.lock ./
COPY actors/Cargo.toml actors/
COPY crates/domain/Cargo.toml crates/domain/
COPY crates/ledger/Cargo.toml crates/ledger/
COPY crates/sandbox/Cargo.toml crates/sandbox/
COPY crates/wire/Cargo.toml crates/wire/
RUN for crate in . actors crates/domain crates/ledger crates/sandbox crates/wire; do \
        mkdir -p "$crate/src" && touch "$crate/src/lib.rs" || exit 1; \
    done \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --locked --profile dist --bin parlante

COPY actors actors
COPY crates crates
COPY personas personas
COPY src src
COPY config.toml ./
# Files keep the time of the last change in the checkout. Cargo would take those that are older than the empty ones
# for unchanged.
RUN find src actors crates -name '*.rs' -exec touch {} + \
    && cargo build --locked --profile dist --bin parlante \
    && mkdir /data

# glibc, libgcc and Mozilla's root certificates.
FROM gcr.io/distroless/cc-debian13:nonroot@sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97
COPY --from=build /src/target/dist/parlante /usr/local/bin/parlante
# A new volume takes over the owner of what it covers.
COPY --from=build --chown=65532:65532 /data /data
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
# `parlante forget` rewrites the ledger through a temporary file as large as it: beside it, not in a small /tmp.
ENV APP_ENV=production \
    HOST=0.0.0.0 \
    LEDGER_PATH=/data/parlante.db \
    SQLITE_TMPDIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
# A start that has much to recover may take a while; a server that hangs is found after half a minute.
HEALTHCHECK --start-period=60s --interval=10s --timeout=5s --retries=3 \
    CMD ["parlante", "healthcheck"]
ENTRYPOINT ["parlante"]
CMD ["serve"]
