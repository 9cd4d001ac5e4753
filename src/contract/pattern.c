/*-------------------------------------------------------------------------
 *
 * pattern.c
 *	  Regular expressions of schemas, run by PCRE2 with limits.
 *
 * Called by the compiler for "pattern" and "patternProperties" and by the
 * walker for each string they look at.  An expression is compiled once, with
 * PCRE2's JIT where it is available; the code lives outside palloc and is
 * freed by a callback of the memory context that owns the pattern.
 *
 * A match is stopped after MATCH_LIMIT steps from one start, so that no
 * expression can hang an INSERT: that is an error, not a verdict.  PCRE2
 * counts anew for each start, and an expression that needs a step for each
 * character of the rest needs the square of the length for all starts; so a
 * long string is searched in windows of starts, with a look at interrupts and
 * the processor time in between.  Not at the clock: whether an INSERT is refused
 * must not depend on what else the machine does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <time.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "contract/pattern.h"

/*
 * PCRE2 counts calls of its internal match function.  A million of them take
 * a few milliseconds; honest expressions need fewer by orders of magnitude.
 */
#define MATCH_LIMIT			1000000
#define HEAP_LIMIT_KB		65536

/* Strings up to this size are searched in one go: at worst half a second. */
#define ONE_GO_MAX			16384
#define WINDOW_MS			5		/* of processor time, for one window */
#define SEARCH_LIMIT_MS		2000	/* the same, for all windows of a string */

#define JIT_STACK_START		(32 * 1024)
#define JIT_STACK_MAX		(1024 * 1024)

struct MoPattern
{
	pcre2_code *code;
	const char *source;			/* as written */
	bool		anchored;		/* can match at the start only */
	MemoryContextCallback callback;
};

/* Shared by all patterns of the backend: matching is not reentrant. */
static pcre2_match_context *match_context = NULL;
static pcre2_match_data *match_data = NULL;
static pcre2_jit_stack *jit_stack = NULL;

static void
free_code(void *arg)
{
	pcre2_code_free(((MoPattern *) arg)->code);
}

static void
prepare_matching(void)
{
	if (match_data != NULL)
		return;
	if (match_context == NULL)
	{
		match_context = pcre2_match_context_create(NULL);
		if (match_context == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		pcre2_set_match_limit(match_context, MATCH_LIMIT);
		pcre2_set_heap_limit(match_context, HEAP_LIMIT_KB);
	}
	if (jit_stack == NULL)
	{
		jit_stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX,
										   NULL);
		if (jit_stack)
			pcre2_jit_stack_assign(match_context, NULL, jit_stack);
	}
	match_data = pcre2_match_data_create(1, NULL);
	if (match_data == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/* Translates and compiles; NULL and *reason where either is impossible. */
static pcre2_code *
compile_code(const char *source, uint32 len, char **reason)
{
	char	   *translated = mo_ecma_translate(source, len, reason);
	pcre2_code *code;
	PCRE2_SIZE	offset;
	int			error;

	if (translated == NULL)
		return NULL;
	code = pcre2_compile((PCRE2_SPTR) translated, strlen(translated),
						 PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_UCP |
						 PCRE2_DOLLAR_ENDONLY | PCRE2_USE_OFFSET_LIMIT | PCRE2_MATCH_UNSET_BACKREF,
						 &error, &offset, NULL);
	pfree(translated);
	if (code == NULL)
	{
		char		buf[256];

		pcre2_get_error_message(error, (PCRE2_UCHAR *) buf, sizeof(buf));
		*reason = pstrdup(buf);
	}
	return code;
}

bool
mo_pattern_check(const char *source, uint32 len, char **reason)
{
	pcre2_code *code = compile_code(source, len, reason);

	pcre2_code_free(code);
	return code != NULL;
}

MoPattern *
mo_pattern_compile(const char *source, uint32 len, MemoryContext context,
				   char **reason)
{
	MoPattern  *pattern = MemoryContextAllocZero(context, sizeof(MoPattern));
	char	   *copy = MemoryContextAlloc(context, len + 1);
	uint32_t	options = 0;

	memcpy(copy, source, len);
	copy[len] = '\0';
	pattern->source = copy;
	pattern->code = compile_code(source, len, reason);
	if (pattern->code == NULL)
		return NULL;
	pattern->callback.func = free_code;
	pattern->callback.arg = pattern;
	MemoryContextRegisterResetCallback(context, &pattern->callback);

	pcre2_pattern_info(pattern->code, PCRE2_INFO_ALLOPTIONS, &options);
	pattern->anchored = (options & PCRE2_ANCHORED) != 0;

	/* Without JIT the interpreter does it, with the same limits. */
	(void) pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
	prepare_matching();
	return pattern;
}

const char *
mo_pattern_source(const MoPattern *pattern)
{
	return pattern->source;
}

static void
raise_failure(const MoPattern *pattern, uint32 len, int rc)
{
	if (rc == PCRE2_ERROR_NOMEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	ereport(ERROR,
			(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
			 errmsg("the pattern %s takes too long to match a string of %u bytes",
					pattern->source, len),
			 errdetail("Matching is stopped after %d steps, or %d ms of processor time.",
					   MATCH_LIMIT, SEARCH_LIMIT_MS),
			 errhint("Nested repetitions such as (a+)+ need exponential time; write the pattern so that each part can match in one way only.")));
}

/* Does it match with a start in first .. last? */
static bool
match_from(const MoPattern *pattern, const char *subject, uint32 len,
		   PCRE2_SIZE first, PCRE2_SIZE last)
{
	int			rc;

	pcre2_set_offset_limit(match_context, last);
	rc = pcre2_match(pattern->code, (PCRE2_SPTR) subject, len, first,
					 PCRE2_NO_UTF_CHECK, match_data, match_context);

	/* The interpreter keeps its state on the heap, which may grow further. */
	if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
		rc = pcre2_match(pattern->code, (PCRE2_SPTR) subject, len, first,
						 PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
						 match_data, match_context);
	if (rc >= 0)
		return true;
	if (rc != PCRE2_ERROR_NOMATCH)
		raise_failure(pattern, len, rc);
	return false;
}

static double
processor_ms(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return used.tv_sec * 1000.0 + used.tv_nsec / 1000000.0;
}

static bool
search_in_windows(const MoPattern *pattern, const char *subject, uint32 len)
{
	PCRE2_SIZE	window = 1024;
	double		total = 0;

	for (PCRE2_SIZE first = 0; first <= len;)
	{
		PCRE2_SIZE	last = Min(first + window, len);
		double		begin;
		double		ms;

		CHECK_FOR_INTERRUPTS();

		/* A window ends before a character, never inside of one. */
		while (last < len && ((unsigned char) subject[last] & 0xC0) == 0x80)
			last++;
		begin = processor_ms();
		if (match_from(pattern, subject, len, first, last))
			return true;
		ms = processor_ms() - begin;
		total += ms;
		if (total > SEARCH_LIMIT_MS)
			raise_failure(pattern, len, PCRE2_ERROR_MATCHLIMIT);
		if (ms < WINDOW_MS)
			window *= 2;
		else if (window > 1)
			window /= 2;
		if (last == len)
			break;
		first = last;
	}
	return false;
}

bool
mo_pattern_matches(const MoPattern *pattern, const char *subject, uint32 len)
{
	if (len <= ONE_GO_MAX || pattern->anchored)
		return match_from(pattern, subject, len, 0, PCRE2_UNSET);
	return search_in_windows(pattern, subject, len);
}
