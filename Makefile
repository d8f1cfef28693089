# What people and CI call. Both targets install what is missing from the system's packages.

PEERS := $(CURDIR)/target/peers

.PHONY: playground test

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
