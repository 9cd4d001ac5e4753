# mesh_outbox: PGXS build.
#
#   make && make install            build and install into the server of pg_config
#   make installcheck               pg_regress on a throw-away server of its own
#
# Everything else that is tested (TAP, real Kafka, chaos) is run by test/run.sh.

EXTENSION  = mesh_outbox
MODULE_big = mesh_outbox
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" mesh_outbox.control)

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

# The install script is joined from the SQL that lies beside each module's C,
# in the order of src/sql.order.
INSTALL_SQL = mesh_outbox--$(EXTVERSION).sql
SQL_PARTS   = $(addprefix src/,$(shell cat src/sql.order))
DATA_built  = $(INSTALL_SQL)

LIBS_USED = rdkafka json-c libpcre2-8 liburiparser libidn2

PG_CPPFLAGS = -I$(srcdir)/src $(shell pkg-config --cflags $(LIBS_USED)) \
	-DMO_VERSION='"$(EXTVERSION)"' $(MO_CPPFLAGS)
PG_CFLAGS   = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-declaration-after-statement $(MO_CFLAGS)
SHLIB_LINK  = $(shell pkg-config --libs $(LIBS_USED)) -lpthread

REGRESS      = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --temp-instance=tmp_check_regress --temp-config=test/regress.conf \
	--dbname=contrib_regression --encoding=UTF8

EXTRA_CLEAN = $(INSTALL_SQL) tmp_check tmp_check_regress

# JIT bitcode of an extension with no SQL-inlinable function is dead weight.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(INSTALL_SQL): $(SQL_PARTS) src/sql.order mesh_outbox.control
	cat $(SQL_PARTS) > $@

# Headers are few and small: any change of one rebuilds all.
$(OBJS): $(sort $(wildcard src/*.h src/*/*.h))
