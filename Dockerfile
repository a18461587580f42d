# The environment of a run as an image; the repository is mounted into it. docs/containers.md says how.
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*

COPY requirements.txt /opt/
RUN python3 -m venv --without-pip /opt/venv \
    && python3 -m pip --python /opt/venv install --no-cache-dir --require-hashes --requirement /opt/requirements.txt

# Whoever runs it may have no home folder inside: caches go to /tmp.
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp XDG_CACHE_HOME=/tmp
WORKDIR /repository
ENTRYPOINT ["snakemake"]
CMD ["--cores", "all"]
