/*-------------------------------------------------------------------------
 *
 * target.c
 *	  libFuzzer target for the schema compiler and walker.
 *
 * The engine needs a backend around it (memory contexts, errors, numeric), so
 * the fuzzer runs inside of one: run.sh builds this file and the engine with
 * UBSan and coverage into one module and calls mo_fuzz() in a single-user
 * server.
 *
 * An input is a line of options and schema, then the instance:
 * "<option byte><schema>\n<instance>".  The fast walk and the listing walk
 * must agree, and neither may read beyond the instance, which therefore ends
 * where a page without access begins.
 *
 * Not with ASan: preloading its runtime stops the server in bindtextdomain(),
 * before main() has done anything, and palloc would hide most overruns from
 * it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/mman.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "compat.h"
#include "contract/compile.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(mo_fuzz);

extern int	LLVMFuzzerRunDriver(int *argc, char ***argv,
								int (*callback) (const uint8_t *data, size_t size));
extern int	mo_fuzz_one(const uint8_t *data, size_t size);

#define FENCED_SIZE		(64 * 1024)

static MemoryContext context;
static char *fence;				/* FENCED_SIZE bytes lie before it */

static Jsonb *
read_json(const char *text, size_t len)
{
	char	   *copy = pnstrdup(text, len);

	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(copy)));
}

static void
try_one(const uint8_t *data, size_t size)
{
	const char *start = (const char *) data + 1;
	const char *newline = memchr(start, '\n', size - 1);
	MoSchemaOptions options = {
		.assert_formats = (data[0] & 1) != 0,
		.contract = (data[0] & 2) != 0,
		.closed = (data[0] & 4) != 0,
		.assert_content = (data[0] & 8) != 0,
		.immutable = true
	};
	Jsonb	   *schema;
	Jsonb	   *instance;
	Jsonb	   *exact;
	MoSchema   *program;
	bool		fast;
	bool		listed;

	if (newline == NULL)
		return;
	schema = read_json(start, newline - start);
	instance = read_json(newline + 1, (const char *) data + size - newline - 1);
	program = mo_schema_compile(schema, &options, context);

	/* jsonb is read in words, and its size need not be a multiple of four. */
	if (VARSIZE(instance) > FENCED_SIZE)
		return;
	exact = (Jsonb *) (fence - INTALIGN(VARSIZE(instance)));
	memcpy(exact, instance, VARSIZE(instance));
	fast = mo_schema_is_valid(program, exact);
	listed = mo_schema_violations(program, exact, 0) == NIL;
	if (fast != listed)
		abort();
}

int
mo_fuzz_one(const uint8_t *data, size_t size)
{
	MemoryContext caller = MemoryContextSwitchTo(context);

	/* Text that reaches the engine is valid in the server's encoding. */
	if (size < 3 || !pg_verify_mbstr(PG_UTF8, (const char *) data, size, true))
		return 0;
	PG_TRY();
	{
		try_one(data, size);
	}
	PG_CATCH();
	{
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextReset(context);
	return 0;
}

/* mo_fuzz(corpus text, seconds int, seed int): never returns, exits */
Datum
mo_fuzz(PG_FUNCTION_ARGS)
{
	char	   *arguments[8];
	char	  **argv = arguments;
	int			argc = 0;

	context = AllocSetContextCreate(TopMemoryContext, "fuzz",
									ALLOCSET_DEFAULT_SIZES);
	fence = mmap(NULL, 2 * FENCED_SIZE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fence == MAP_FAILED)
		elog(ERROR, "mmap failed: %m");
	fence += FENCED_SIZE;
	if (mprotect(fence, FENCED_SIZE, PROT_NONE) != 0)
		elog(ERROR, "mprotect failed: %m");
	argv[argc++] = "target";
	argv[argc++] = psprintf("-max_total_time=%d", PG_GETARG_INT32(1));
	argv[argc++] = psprintf("-seed=%d", PG_GETARG_INT32(2));
	argv[argc++] = "-max_len=4096";
	argv[argc++] = "-timeout=200";
	argv[argc++] = psprintf("-artifact_prefix=%s/", text_to_cstring(PG_GETARG_TEXT_PP(0)));
	argv[argc++] = text_to_cstring(PG_GETARG_TEXT_PP(0));
	argv[argc] = NULL;
	exit(LLVMFuzzerRunDriver(&argc, &argv, mo_fuzz_one));
}
