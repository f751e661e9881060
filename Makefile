# SPDX-License-Identifier: MIT
# The front door: every target makes sure that its packages are there, then hands over to
# Meson and Ninja. Everything made lies under build/.

PREFIX       ?= /usr/local
LIBDIR       ?= lib
DESTDIR      ?=
FUZZ_SECONDS ?= 600
EXPLORE_SECONDS ?= 60
BENCH_ARGS   ?=
PLAN_ARGS    ?=

export DESTDIR FUZZ_SECONDS

.PHONY: help demo build check bench explore install fuzz format clean

help:
	@echo 'godwit: page migration as a library, and what it says about this host'
	@echo
	@echo '  make demo      build, then plan compaction of this host (or of a bundled snapshot)'
	@echo '  make build     build build/godwit and the library'
	@echo '  make check     everything a change must pass: builds, tests, sanitizers, lint, fuzz smoke'
	@echo '  make bench     build, then measure the engine on this machine  (BENCH_ARGS=--json)'
	@echo '  make explore   search every scenario for EXPLORE_SECONDS ($(EXPLORE_SECONDS)), then without each fix'
	@echo '  make install   install under PREFIX ($(PREFIX)), into DESTDIR if given'
	@echo '  make fuzz      run the fuzzers for FUZZ_SECONDS ($(FUZZ_SECONDS)) in all'
	@echo '  make format    clang-format the sources in place'
	@echo '  make clean     remove build/'
	@echo
	@echo 'As root, missing Debian packages are installed; otherwise the command to run is printed.'

build:
	@scripts/bootstrap.sh build
	@scripts/build.sh

demo: build
	@scripts/demo.sh $(PLAN_ARGS)

bench: build
	@build/godwit bench $(BENCH_ARGS)

# With all fixes nothing may be found; without each one its race must be.
explore: build
	@build/godwit check --budget '$(EXPLORE_SECONDS)s'
	@build/godwit check --table --budget '$(EXPLORE_SECONDS)s'

install: build
	@meson configure build -Dprefix='$(PREFIX)' -Dlibdir='$(LIBDIR)'
	@mkdir -p build/logs
	@meson install -C build >build/logs/install.log 2>&1 || \
		{ grep -E '^[A-Za-z]*Error|ERROR' build/logs/install.log | head -n 1 >&2; \
		echo 'Not installed; the whole log is in build/logs/install.log' >&2; exit 1; }
	@echo 'Installed under $(DESTDIR)$(PREFIX)'
	@test -n '$(DESTDIR)' || ldconfig 2>/dev/null || true

check:
	@rm -f build/logs/summary
	@scripts/bootstrap.sh all
	@scripts/check.sh

fuzz:
	@scripts/bootstrap.sh all
	@scripts/fuzz.sh "$(FUZZ_SECONDS)"

format:
	@scripts/bootstrap.sh all
	@scripts/sources.sh | xargs -r clang-format -i

clean:
	rm -rf build
