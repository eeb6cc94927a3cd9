# Needs Python 3.11, git and make. Variables: LOCAL_DIR, PORT, LOCALAWS_PORT, S3_PORT, REDIS_PORT;
# ARGS are handed to pytest, manage.py, the soak or the benchmark.
STACK := ./stack/run
ARGS ?=
CONTAINER_ENGINE ?= docker
BUILD_OPTIONS ?=
IMAGE ?= demo-sagemaker-multimodel:latest

.PHONY: help up dev manage messages test quick soak fuzz fuzz-requests fuzz-api machine kill-matrix lint glossary openapi audit bench bench-container bench-localaws bench-s3 bench-portal bench-validation bench-packing bench-warm-call bench-web bench-first-load bench-sweep bench-start bench-container-start bench-catalog bench-experiment bench-upload pictures image image-test clean

help: ## show this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

up: ## set up what is missing and run the portal on this machine; Ctrl-C ends it
	@$(STACK) up

dev: ## as up, and reload changed code, templates and styles
	@$(STACK) install dev container
	@$(STACK) up --reload

manage: ## manage.py beside the stack; ARGS="pack_zoo resnet18_v1"
	@$(STACK) manage $(ARGS)

messages: ## find what the pages say, bring every room's catalog (.po) up to date, and compile them
	@$(STACK) run -m tests.messages

test: ## all tests; ARGS="-k upload" for some
	@$(STACK) install dev container sdk
	@$(STACK) run -m pytest -n 4 --dist loadgroup --no-loadscope-reorder $(ARGS)

test-postgresql: ## the portal's tests that start no process, on PostgreSQL; ARGS="endpoints" for some
	@$(STACK) run -m tests.on_postgresql $(ARGS)

quick: ## the tests that start no process; ARGS="endpoints" for some
	@$(STACK) run -m pytest --quick -n 2 -q $(ARGS)

soak: ## localaws under load for minutes, and while its parts are killed; ARGS="--seconds 60"
	@$(STACK) run -m localaws.tests.soak $(ARGS)

fuzz: ## 20,000 mutants of networks given to MXNet in the sandbox; ARGS="--count 1000"
	@$(STACK) install container
	@.venv-container/bin/python -m container.tests.fuzz $(ARGS)

fuzz-requests: ## 2,000 pictures, payloads and headers sent to the container; ARGS="--count 10000 --seed 7"
	@$(STACK) run -m container.tests.fuzz_requests $(ARGS)

fuzz-api: ## requests of every kind to every operation of the API, for long; ARGS="--examples 500 --seed 7"
	@$(STACK) run -m tests.fuzz_api $(ARGS)

machine: ## wishes, faults and kills of endpoints, for long; ARGS="--steps 200000 --seed 7"
	@$(STACK) run -m endpoints.tests.long_machine $(ARGS)

kill-matrix: ## each part killed and stopped at each step, for an hour or more; ARGS="--catalog", ARGS="--only worker:SIGKILL --minutes 20"
	@$(STACK) run -m tests.kill_matrix $(ARGS)

lint: ## ruff, mypy, templates, imports, dead names, migrations
	@$(STACK) run -m ruff check .
	@$(STACK) run -m ruff format --check .
	@$(STACK) run -m mypy .
	@.venv/bin/djade --check --target-version 5.2 $$(find templates -name '*.html')
	@.venv/bin/lint-imports
	@$(STACK) run -m tests.rules.dead_names
	@$(STACK) run manage.py makemigrations --check --dry-run --settings mmeportal.settings_lint
	@$(STACK) run manage.py lintmigrations --no-cache --quiet ok ignore --settings mmeportal.settings_lint

glossary: ## write docs/glossary.md and docs/glossary.ko.md from core/glossary.py
	@$(STACK) run manage.py write_glossary --settings mmeportal.settings_lint

openapi: ## write docs/openapi.json and docs/problems.md; ARGS="--baseline" accepts a breaking change
	@MME_WRITE_EXAMPLES=1 $(STACK) run -m pytest -n 0 -q tests/test_api_examples.py
	@$(STACK) run manage.py write_openapi --settings mmeportal.settings_lint $(ARGS)

# --strict: behind a mirror that has no vulnerability data pip-audit would skip all, and be content.
audit: ## hold every pinned package against the known vulnerabilities; asks the package index
	@failed=; for file in requirements/*.txt container/requirements.txt; do \
		echo "$$file"; \
		$(STACK) run -m pip_audit --strict --require-hashes --disable-pip --progress-spinner off \
			--requirement $$file $(ARGS) || failed="$$failed $$file"; \
	done; [ -z "$$failed" ] || { echo "Not clean, or not audited:$$failed" >&2; exit 1; }

bench: bench-container bench-localaws ## all benchmarks

bench-container: ## the container beside a plain one
	@$(STACK) run bench/container.py $(ARGS)

bench-localaws: ## localaws beside the bare container
	@$(STACK) run bench/localaws.py $(ARGS)

bench-s3: ## the stack's S3 server beside bare ones; ARGS="--rounds 9"
	@$(STACK) run bench/s3.py $(ARGS)

bench-portal: ## what the API and the page add to a bare call; ARGS="--parts --busy" for where and when
	@$(STACK) run bench/portal.py $(ARGS)

bench-validation: ## the validation of an archive beside that of a commit; ARGS="--commit HEAD~1"
	@$(STACK) run bench/validation.py $(ARGS)

bench-packing: ## archives stored and compressed; ARGS="ARCHIVE" takes another content
	@$(STACK) run bench/packing.py $(ARGS)

bench-warm-call: ## a warm call beside another checkout's, ARGS="--against FOLDER"
	@$(STACK) run bench/warm_call.py $(ARGS)

bench-web: ## the web server beside another checkout's, ARGS="--against FOLDER"; needs a running stack
	@$(STACK) run bench/web.py $(ARGS)

bench-upload: ## 220 MB through the portal beside S3 alone, and until it is ready; needs a running stack
	@$(STACK) run bench/upload.py $(ARGS)

bench-experiment: ## an experiment beside a bare loop of boto3; ARGS="--beside" for others' calls meanwhile
	@$(STACK) run bench/experiment.py $(ARGS)

bench-sweep: ## a sweep with 200 settled endpoints and 20 under way; ARGS="--settled 2000"
	@$(STACK) run bench/sweep.py $(ARGS)

bench-start: ## start and end of the portal's programs beside one with Python's own garbage collector
	@$(STACK) run bench/start.py $(ARGS)

bench-container-start: ## start of the container beside one without its class archive
	@$(STACK) run bench/container_start.py $(ARGS)

bench-catalog: ## pages with 2,000 models beside a tenth of them; ARGS="--postgresql", "--cpu" on a busy machine
	@$(STACK) run bench/catalog.py $(ARGS)

bench-first-load: ## the first load of each page in Chromium; needs a running stack
	@$(STACK) run bench/first_load.py $(ARGS)

pictures: ## a contact sheet of all pages, from the running stack or one of its own; ARGS="--readme" for the README's
	@$(STACK) run -m tests.contact_sheet $(ARGS)

image: ## build the container image with CONTAINER_ENGINE (docker, podman)
	$(CONTAINER_ENGINE) build $(BUILD_OPTIONS) --tag $(IMAGE) container

# Not beside others (-n 0): each container has the machine to itself. -rP shows the figures.
image-test: ## test the image that was built: the container's contract, and localaws with it
	CONTAINER_ENGINE="$(CONTAINER_ENGINE)" MME_TEST_IMAGE="$(IMAGE)" $(STACK) run -m pytest -n 0 -rP \
		container/tests/test_contract.py container/tests/test_image.py \
		container/tests/test_push_image.py \
		localaws/tests/test_container_engine.py $(ARGS)

clean: ## remove the virtual environments; .local stays
	rm -rf .venv .venv-container .venv-sdk
