# SPDX-License-Identifier: Apache-2.0
# leat in a container: the stripped binary on Debian 12, the libraries it is linked with and those it loads when a pipeline names them (libcurl,
# libmongoc), nothing else. It runs as nobody special (10001) and writes to /data alone.
#
#     make deps && docker build -t leat .
#     docker run --rm leat run --help
#     docker run --rm -v "$PWD":/pipelines:ro -v leat-data:/data leat run /pipelines/users.sql --data /data
#
# BASE: any image of Debian 12. BINARY: another image that has the made files below /made, in the place of the stage that compiles (BuildKit then
# leaves that out). `make deps` beforehand is no must: the build then fetches and builds the Kafka client itself, with npm, which takes minutes.
# leat is process 1 and needs no init: it handles SIGTERM and SIGINT itself (a clean end takes a snapshot), and has no children.
# The health check asks the run's control socket, so data has to be where LEAT_DATA says.
ARG BASE=debian:12-slim
ARG BINARY=build

FROM ${BASE} AS build
WORKDIR /leat
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ca-certificates make
COPY Makefile ./
COPY tools/deps.sh tools/
RUN tools/deps.sh $(make -s --eval='packages:; @echo $(PACKAGES)' packages)
COPY . .
# A Kafka client built on another system may not fit this one: then it is built again.
RUN for library in deps/librdkafka-*/lib/librdkafka.a; do \
        [ ! -e "$library" ] || { echo 'int main(void) { return 0; }' | \
            gcc -x c - -x none -Wl,--whole-archive "$library" -Wl,--no-whole-archive -lssl -lcrypto -lz -lzstd -lm -ldl -pthread -o /tmp/probe && \
            /tmp/probe; } || \
            rm -rf "${library%/lib/*}"; \
    done; \
    tools/librdkafka.sh && make -s -j"$(nproc)" all && make -s install PREFIX=/usr/local DESTDIR=/made

FROM ${BINARY} AS binary

FROM ${BASE}
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        ca-certificates libcurl4 libedit2 liblz4-1 libmongoc-1.0-0 libpcre2-8-0 libsqlite3-0 libssl3 libutf8proc2 libxxhash0 libzstd1 tzdata \
        zlib1g && \
    apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/debconf/* /var/log/* && \
    useradd --system --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin leat && \
    install -d -o leat -g leat -m 700 /data
COPY --from=binary /made/ /
RUN leat version && ! ldd /usr/local/bin/leat | grep 'not found'
ENV LEAT_DATA=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["perl", "-MIO::Socket::UNIX", "-e", "alarm 4; \
        my $s = IO::Socket::UNIX->new(Peer => \"$ENV{LEAT_DATA}/leat.sock\") or die \"no run answers: $!\\n\"; \
        print $s \"ping\\n\"; my $a = <$s>; print $a; exit($a !~ /\"state\":\"(running|waiting)\"/)"]
ENTRYPOINT ["leat"]
CMD ["--help"]
