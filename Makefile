# What people and CI call. Each target installs what is missing from the system's packages.

PEERS := $(CURDIR)/target/peers

.PHONY: bench chaos compare-classifier compare-mwdb compare-reporter fuzz playground test

# Everything on this machine. Flags: make playground ARGS="--data elsewhere"
playground:
	scripts/setup system
	cargo run --release --package playground -- $(ARGS)

# Format, lints, docs, and all tests, with the real Python services beside ours.
test:
	scripts/setup system peers
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	KARTON_PEERS_PYTHON=$(PEERS)/karton/bin/python KARTON_DASHBOARD_PYTHON=$(PEERS)/dashboard/bin/python cargo test --workspace

# Kills, stops and cuts off services for a quarter of an hour, compares filters with the reference, and prints what was
# counted. CHAOS_ROUNDS, CHAOS_SECONDS, CHAOS_SEED, FILTER_CASES and FILTER_SEED change it.
# Then mwdb-lite is killed in the middle of uploads, MWDB_CHAOS_ROUNDS times.
chaos:
	scripts/setup system peers
	CHAOS_ROUNDS=$(or $(CHAOS_ROUNDS),100) CHAOS_SECONDS=$(or $(CHAOS_SECONDS),600) \
	KARTON_PEERS_PYTHON=$(PEERS)/karton/bin/python KARTON_DASHBOARD_PYTHON=$(PEERS)/dashboard/bin/python \
	cargo test --workspace --test karton-rs-it -- --nocapture --test-threads 1 chaos:: generated_cases
	CHAOS_ROUNDS=$(or $(MWDB_CHAOS_ROUNDS),50) PERMISSION_CASES=50 cargo test --workspace --test mwdb-lite-it -- crash:: permissions::

# The Python classifier and ours side by side on the files of this machine. Flags: ARGS="--limit 10000"
compare-classifier:
	scripts/setup system peers
	cargo build --workspace --bin karton-classifier
	$(PEERS)/karton/bin/python scripts/compare-classifier $(ARGS)

# MWDB Core and mwdb-lite asked the same questions, thousands of them. Flags: make compare-mwdb ARGS="search --karton"
compare-mwdb:
	scripts/setup system core
	cargo build --workspace --bin mwdb-lite
	scripts/compare-mwdb $(ARGS)

# The Python reporter and ours side by side on MWDB Core, which is installed for it.
compare-reporter:
	scripts/setup system peers core
	KARTON_PEERS_PYTHON=$(PEERS)/karton/bin/python scripts/compare-reporter

# Hostile input for the readers: make fuzz TARGET=task SECONDS=600
fuzz:
	scripts/setup fuzz
	scripts/fuzz $(or $(TARGET),all) $(or $(SECONDS),60)

# Speed and memory beside the Python reference. Flags: make bench ARGS="--stored 1000,1000000 --json"
# Without MWDB Core, which needs PostgreSQL, its column stays empty.
bench:
	scripts/setup system peers
	scripts/setup core || echo "going on without MWDB Core" >&2
	cargo build --release --workspace --bins
	KARTON_PEERS_PYTHON=$(PEERS)/karton/bin/python MWDB_PEERS_PYTHON=$(PEERS)/core/bin/python \
	$(or $(CARGO_TARGET_DIR),target)/release/playground-bench $(ARGS)
