/*-------------------------------------------------------------------------
 *
 * producer_test.c
 *	  producer.h as SQL functions, one session being one process with one
 *	  producer.  test_producer.py calls them; several sessions are several
 *	  publishers, which is how fencing is tested.
 *
 * Nothing here decides anything: a function calls what it is named after and
 * tells the outcome as text.  Records are malloc'd, because they must live
 * from one statement to another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/ipc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include <librdkafka/rdkafka.h>

#include "publisher/producer.h"

PG_MODULE_MAGIC;

#define GROUP_PREFIX		"mo-test-"
#define MARKER_TOPIC		"mo-test.markers"

static MoProducer *producer = NULL;
static MoRecord *records = NULL;
static int	nrecords = 0;

static const char *const status_names[] = {
	"ok", "abort", "fenced", "fatal", "refused"
};

static text *
outcome(const MoKafkaError *error)
{
	return cstring_to_text(error->status == MO_KAFKA_OK ? "ok" :
						   psprintf("%s: %s", status_names[error->status],
									error->message));
}

static void
stop_at_exit(int code, Datum arg)
{
	if (producer)
		mo_producer_destroy(producer);
	producer = NULL;
}

/* One turn of a publisher's loop: waits for the producer's socket. */
static bool
turn(TimestampTz deadline)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													   deadline);

	if (left <= 0)
		return false;
	(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE |
							 WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 mo_producer_socket(producer), left,
							 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	mo_producer_service(producer);
	return true;
}

static TimestampTz
deadline_in(int ms)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
}

static bool
await_call(int lane, int ms)
{
	TimestampTz deadline = deadline_in(ms);

	mo_producer_service(producer);
	while (mo_producer_busy(producer, lane))
	{
		if (!turn(deadline))
			return false;
	}
	return true;
}

static bool
await_delivery(int lane, int ms)
{
	TimestampTz deadline = deadline_in(ms);

	mo_producer_service(producer);
	while (mo_producer_undelivered(producer, lane) > 0)
	{
		if (!turn(deadline))
			return false;
	}
	return true;
}

/* create(brokers, options, id) */
PG_FUNCTION_INFO_V1(test_create);
Datum
test_create(PG_FUNCTION_ARGS)
{
	char	   *id = text_to_cstring(PG_GETARG_TEXT_PP(2));
	MoProducerConfig config = {
		.brokers = text_to_cstring(PG_GETARG_TEXT_PP(0)),
		.options = text_to_cstring(PG_GETARG_TEXT_PP(1)),
		.transactional_id = psprintf(GROUP_PREFIX "%s", id),
		.group = psprintf(GROUP_PREFIX "%s", id),
		.marker_topic = MARKER_TOPIC,
		.client_id = "mo-test",
	};
	static bool registered = false;

	if (!registered)
		before_shmem_exit(stop_at_exit, 0);
	registered = true;
	producer = mo_producer_create(&config);
	PG_RETURN_TEXT_P(cstring_to_text(mo_producer_bootstrap(producer)));
}

/* Milliseconds that the destruction took. */
PG_FUNCTION_INFO_V1(test_destroy);
Datum
test_destroy(PG_FUNCTION_ARGS)
{
	TimestampTz start = GetCurrentTimestamp();

	mo_producer_destroy(producer);
	producer = NULL;
	PG_RETURN_FLOAT8((GetCurrentTimestamp() - start) / 1000.0);
}

PG_FUNCTION_INFO_V1(test_reset);
Datum
test_reset(PG_FUNCTION_ARGS)
{
	mo_producer_reset(producer);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(test_check_options);
Datum
test_check_options(PG_FUNCTION_ARGS)
{
	mo_producer_check_options(text_to_cstring(PG_GETARG_TEXT_PP(0)),
							  text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/* start(lane, call): init, commit, abort; "marker LSN TEXT" */
PG_FUNCTION_INFO_V1(test_start);
Datum
test_start(PG_FUNCTION_ARGS)
{
	int			lane = PG_GETARG_INT32(0);
	char	   *call = text_to_cstring(PG_GETARG_TEXT_PP(1));

	if (strcmp(call, "init") == 0)
		mo_producer_start_init(producer, lane);
	else if (strcmp(call, "commit") == 0)
		mo_producer_start_commit(producer, lane);
	else if (strcmp(call, "abort") == 0)
		mo_producer_start_abort(producer, lane);
	else
		elog(ERROR, "unknown call \"%s\"", call);
	PG_RETURN_VOID();
}

/* start_marker(lane, lsn, metadata) */
PG_FUNCTION_INFO_V1(test_start_marker);
Datum
test_start_marker(PG_FUNCTION_ARGS)
{
	mo_producer_start_send_marker(producer, PG_GETARG_INT32(0),
								  (XLogRecPtr) PG_GETARG_INT64(1),
								  text_to_cstring(PG_GETARG_TEXT_PP(2)));
	PG_RETURN_VOID();
}

/* await(lane, ms): how the call ended, or "busy" */
PG_FUNCTION_INFO_V1(test_await);
Datum
test_await(PG_FUNCTION_ARGS)
{
	int			lane = PG_GETARG_INT32(0);

	if (!await_call(lane, PG_GETARG_INT32(1)))
		PG_RETURN_TEXT_P(cstring_to_text("busy"));
	PG_RETURN_TEXT_P(outcome(mo_producer_result(producer, lane)));
}

PG_FUNCTION_INFO_V1(test_begin);
Datum
test_begin(PG_FUNCTION_ARGS)
{
	MoKafkaError error = {MO_KAFKA_OK};

	(void) mo_producer_begin(producer, PG_GETARG_INT32(0), &error);
	PG_RETURN_TEXT_P(outcome(&error));
}

/* Pattern of the payloads: constant, and never freed. */
static char *
payload(int size)
{
	static char *space = NULL;
	static int	have = 0;

	if (size > have)
	{
		space = malloc(size);	/* records may still point to the old one */
		for (int i = 0; i < size; i++)
			space[i] = 'a' + i % 26;
		have = size;
	}
	return space;
}

/*
 * produce(lane, topic, partitions, n, size, headers): n records of that size
 * over the topic's first partitions, in turns.
 */
PG_FUNCTION_INFO_V1(test_produce);
Datum
test_produce(PG_FUNCTION_ARGS)
{
	int			lane = PG_GETARG_INT32(0);
	MoTopic    *topic = mo_producer_topic(producer,
										  text_to_cstring(PG_GETARG_TEXT_PP(1)));
	int			partitions = PG_GETARG_INT32(2);
	int			n = PG_GETARG_INT32(3);
	int			size = PG_GETARG_INT32(4);
	int			nheaders = PG_GETARG_INT32(5);
	MoHeader	headers[16];
	MoKafkaError error = {MO_KAFKA_OK};

	/* Earlier records may only go when nothing is under way. */
	records = calloc(n, sizeof(MoRecord));
	nrecords = n;
	for (int h = 0; h < nheaders; h++)
		headers[h] = (MoHeader) {"ce_header_n", "0123456789abcdef", 16};

	for (int i = 0; i < n; i++)
	{
		MoRecord   *r = &records[i];
		MoProduceResult result;

		r->topic = topic;
		r->partition = i % partitions;
		r->key = "a-key-of-16-byte";
		r->key_length = 16;
		r->value = payload(size);
		r->value_length = size;
		while ((result = mo_producer_produce(producer, lane, r, headers,
											 nheaders, &error)) == MO_PRODUCE_FULL)
			(void) turn(deadline_in(100));
		if (result != MO_PRODUCE_OK)
			PG_RETURN_TEXT_P(cstring_to_text(
				psprintf("%s, %s",
						 result == MO_PRODUCE_REFUSED ? "REFUSED" : "FAILED",
						 text_to_cstring(outcome(&error)))));
	}
	PG_RETURN_TEXT_P(cstring_to_text("ok"));
}

/* deliver(lane, ms): "undelivered/failed", and the verdicts on the failed */
PG_FUNCTION_INFO_V1(test_deliver);
Datum
test_deliver(PG_FUNCTION_ARGS)
{
	int			lane = PG_GETARG_INT32(0);
	StringInfoData s;
	int			verdicts[3] = {0};

	(void) await_delivery(lane, PG_GETARG_INT32(1));
	initStringInfo(&s);
	appendStringInfo(&s, INT64_FORMAT "/" INT64_FORMAT,
					 mo_producer_undelivered(producer, lane),
					 mo_producer_failed(producer, lane));
	for (int i = 0; i < nrecords; i++)
	{
		if (records[i].error)
			verdicts[mo_producer_record_verdict(records[i].error)]++;
	}
	appendStringInfo(&s, " repeat %d refused %d no_topic %d",
					 verdicts[MO_RECORD_REPEAT], verdicts[MO_RECORD_REFUSED],
					 verdicts[MO_RECORD_NO_TOPIC]);
	PG_RETURN_TEXT_P(cstring_to_text(s.data));
}

PG_FUNCTION_INFO_V1(test_doomed);
Datum
test_doomed(PG_FUNCTION_ARGS)
{
	MoKafkaError error = {MO_KAFKA_OK};

	(void) mo_producer_doomed(producer, PG_GETARG_INT32(0), &error);
	PG_RETURN_TEXT_P(outcome(&error));
}

/* Offset of the n-th record produced last. */
PG_FUNCTION_INFO_V1(test_offset);
Datum
test_offset(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(records[PG_GETARG_INT32(0)].offset);
}

/* read_marker(committed, ms): "LSN METADATA", "none", "busy" or the error */
PG_FUNCTION_INFO_V1(test_read_marker);
Datum
test_read_marker(PG_FUNCTION_ARGS)
{
	XLogRecPtr	lsn;
	const char *metadata;

	if (!mo_producer_busy(producer, MO_LANE_CONTROL))
		mo_producer_start_read_marker(producer, PG_GETARG_BOOL(0));
	if (!await_call(MO_LANE_CONTROL, PG_GETARG_INT32(1)))
		PG_RETURN_TEXT_P(cstring_to_text("busy"));
	if (mo_producer_result(producer, MO_LANE_CONTROL)->status != MO_KAFKA_OK)
		PG_RETURN_TEXT_P(outcome(mo_producer_result(producer, MO_LANE_CONTROL)));
	if (!mo_producer_marker(producer, &lsn, &metadata))
		PG_RETURN_TEXT_P(cstring_to_text("none"));
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(UINT64_FORMAT " %s", lsn, metadata)));
}

/* ensure_topic(name, partitions, config, ms): partitions or the error */
PG_FUNCTION_INFO_V1(test_ensure_topic);
Datum
test_ensure_topic(PG_FUNCTION_ARGS)
{
	MoTopicSpec spec = {
		.name = text_to_cstring(PG_GETARG_TEXT_PP(0)),
		.partitions = PG_GETARG_INT32(1),
		.config = text_to_cstring(PG_GETARG_TEXT_PP(2)),
	};
	char		id[64];

	mo_producer_start_ensure_topic(producer, &spec);
	if (!await_call(MO_LANE_CONTROL, PG_GETARG_INT32(3)))
		PG_RETURN_TEXT_P(cstring_to_text("busy"));
	if (mo_producer_result(producer, MO_LANE_CONTROL)->status != MO_KAFKA_OK)
		PG_RETURN_TEXT_P(outcome(mo_producer_result(producer, MO_LANE_CONTROL)));
	PG_RETURN_TEXT_P(cstring_to_text(
		psprintf("%d", mo_producer_topic_partitions(producer, id, sizeof(id)))));
}

/* The id of the topic that was ensured last. */
PG_FUNCTION_INFO_V1(test_topic_id);
Datum
test_topic_id(PG_FUNCTION_ARGS)
{
	char		id[64];

	(void) mo_producer_topic_partitions(producer, id, sizeof(id));
	PG_RETURN_TEXT_P(cstring_to_text(id));
}

/* Can the library that we were compiled for tell topics' ids? */
PG_FUNCTION_INFO_V1(test_knows_topic_ids);
Datum
test_knows_topic_ids(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(RD_KAFKA_VERSION >= 0x020300ff);
}

/* "version: why it is unfit" */
PG_FUNCTION_INFO_V1(test_library);
Datum
test_library(PG_FUNCTION_ARGS)
{
	const char *version;
	const char *unfit;

	(void) mo_producer_library_version(&version, &unfit);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s: %s", version,
											  unfit ? unfit : "fit")));
}

/* end_offset(topic, partition, ms): the offset or the error */
PG_FUNCTION_INFO_V1(test_end_offset);
Datum
test_end_offset(PG_FUNCTION_ARGS)
{
	/* Outlives a call that is not waited for. */
	MoLogEnd   *log = MemoryContextAllocZero(TopMemoryContext, sizeof(MoLogEnd));

	log->topic = MemoryContextStrdup(TopMemoryContext,
									 text_to_cstring(PG_GETARG_TEXT_PP(0)));
	log->partition = PG_GETARG_INT32(1);
	mo_producer_start_log_ends(producer, log, 1);
	if (!await_call(MO_LANE_CONTROL, PG_GETARG_INT32(2)))
		PG_RETURN_TEXT_P(cstring_to_text("busy"));
	if (mo_producer_result(producer, MO_LANE_CONTROL)->status != MO_KAFKA_OK)
		PG_RETURN_TEXT_P(outcome(mo_producer_result(producer, MO_LANE_CONTROL)));
	PG_RETURN_TEXT_P(cstring_to_text(
		psprintf(INT64_FORMAT, log->end)));
}

/* trouble(ms): serves for so long, then tells it, or NULL */
PG_FUNCTION_INFO_V1(test_trouble);
Datum
test_trouble(PG_FUNCTION_ARGS)
{
	TimestampTz deadline = deadline_in(PG_GETARG_INT32(0));
	TimestampTz since;
	const char *trouble;

	mo_producer_service(producer);
	while (turn(deadline))
		;
	trouble = mo_producer_trouble(producer, &since);
	if (trouble == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(trouble));
}

static int
count_entries(const char *path)
{
	DIR		   *dir = opendir(path);
	int			n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* "threads files" of this process */
PG_FUNCTION_INFO_V1(test_counts);
Datum
test_counts(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%d %d",
											  count_entries("/proc/self/task"),
											  count_entries("/proc/self/fd"))));
}

PG_FUNCTION_INFO_V1(test_partition);
Datum
test_partition(PG_FUNCTION_ARGS)
{
	bytea	   *key = PG_GETARG_BYTEA_PP(0);

	PG_RETURN_INT32(mo_producer_partition(VARDATA_ANY(key),
										  VARSIZE_ANY_EXHDR(key),
										  PG_GETARG_INT32(1)));
}

/*
 * turns(topic, partitions, rounds, n, size, headers): transactions of n
 * records on both ids in turn, serial commits, the next one produced while
 * the last one commits.  Each one's duration in ms.
 */
PG_FUNCTION_INFO_V1(test_turns);
Datum
test_turns(PG_FUNCTION_ARGS)
{
	int			partitions = PG_GETARG_INT32(1);
	int			rounds = PG_GETARG_INT32(2);
	int			n = PG_GETARG_INT32(3);
	int			size = PG_GETARG_INT32(4);
	int			nheaders = PG_GETARG_INT32(5);
	MoTopic    *topic = mo_producer_topic(producer,
										  text_to_cstring(PG_GETARG_TEXT_PP(0)));
	MoRecord   *space = calloc(2 * n, sizeof(MoRecord));
	MoHeader	headers[16];
	Datum	   *times = palloc(rounds * sizeof(Datum));
	TimestampTz started[2] = {0};

	for (int h = 0; h < nheaders; h++)
		headers[h] = (MoHeader) {"ce_header_n", "0123456789abcdef", 16};

	for (int round = 0; round <= rounds; round++)
	{
		int			lane = round % 2;
		MoKafkaError error = {MO_KAFKA_OK};

		if (round < rounds)
		{
			started[lane] = GetCurrentTimestamp();
			if (!mo_producer_begin(producer, lane, &error))
				elog(ERROR, "%s", error.message);
			for (int i = 0; i < n; i++)
			{
				MoRecord   *r = &space[lane * n + i];

				r->topic = topic;
				r->partition = i % partitions;
				r->key = "a-key-of-16-byte";
				r->key_length = 16;
				r->value = payload(size);
				r->value_length = size;
				for (;;)
				{
					MoProduceResult result;

					result = mo_producer_produce(producer, lane, r, headers,
												 nheaders, &error);
					if (result == MO_PRODUCE_OK)
						break;
					if (result != MO_PRODUCE_FULL)
						elog(ERROR, "%s", error.message);
					(void) turn(deadline_in(1000));
				}
			}
			mo_producer_start_send_marker(producer, lane, round + 1, "turn");
		}
		if (round > 0)
		{
			if (!await_call(1 - lane, 60000) ||
				mo_producer_result(producer, 1 - lane)->status != MO_KAFKA_OK)
				elog(ERROR, "commit: %s", mo_producer_result(producer, 1 - lane)->message);
			times[round - 1] = Float8GetDatum((GetCurrentTimestamp() - started[1 - lane]) / 1000.0);
		}
		if (round < rounds)
		{
			if (!await_call(lane, 60000) || !await_delivery(lane, 60000) ||
				mo_producer_result(producer, lane)->status != MO_KAFKA_OK)
				elog(ERROR, "marker: %s", mo_producer_result(producer, lane)->message);
			mo_producer_start_commit(producer, lane);
		}
	}
	free(space);
	PG_RETURN_ARRAYTYPE_P(construct_array(times, rounds, FLOAT8OID, 8, true, 'd'));
}
