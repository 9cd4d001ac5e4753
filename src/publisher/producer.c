/*-------------------------------------------------------------------------
 *
 * producer.c
 *	  The producer's main thread side: making and breaking handles, handing
 *	  records and calls to them, and taking what comes back.
 *
 * Called by the publisher only.  Owns three lanes (producer_internal.h), the
 * pipe that wakes the publisher, and for brokers => 'embedded' the broker.
 * producer*.c are the only files that know librdkafka.
 *
 * Everything that librdkafka has to say arrives as an event in a queue that
 * mo_producer_service() polls: no code of ours runs in its threads.  It
 * writes a byte to the pipe when a queue turns from empty to non-empty, and
 * not again before the queue was polled; so service empties the pipe first
 * and every queue after it, to the end.
 *
 * A cluster that is away raises no error here.  librdkafka retries in its
 * threads, calls repeat in the lanes, and mo_producer_trouble() tells.
 *
 * Delivery errors.  A record's error is its own delivery report's.  When a
 * broker refuses a batch, every record of that batch reports the batch's
 * error (MSG_SIZE_TOO_LARGE, INVALID_RECORD, …), culprit or not; from 2.3 on,
 * librdkafka tells them apart for INVALID_RECORD: the culprit keeps that
 * code, the others get _INVALID_DIFFERENT_RECORD.  Records that were behind
 * it report _PURGE_QUEUE or _PURGE_INFLIGHT, and say nothing about
 * themselves.  After such an abort the next transaction may fail once with
 * OUT_OF_ORDER_SEQUENCE_NUMBER, which is nobody's fault.  To find a culprit
 * among equals, produce them one at a time, waiting for each report: then
 * each is a batch of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "publisher/producer_internal.h"

/* How long the lanes may take to end; the calls in them are bounded. */
#define STOP_TIMEOUT		1000

/* What lasts no longer than this is no trouble, in µs. */
#define TROUBLE_AGE			USECS_PER_SEC

/* An attempt that has outlasted its time-out so far will not end by itself. */
#define STUCK_AGE			((MO_MARKER_TIMEOUT + 1000) * INT64CONST(1000))

/* No more than so many log lines of librdkafka in so many µs. */
#define LOG_LINES			10
#define LOG_WINDOW			(10 * USECS_PER_SEC)

struct MoProducer
{
	MemoryContext context;		/* holds this struct, topics and strings */
	rd_kafka_conf_t *conf;		/* what all handles share */
	char	   *transactional_id;
	char	   *group;
	char	   *marker_topic;
	char	   *bootstrap;
	int			pipe[2];		/* both ends are non-blocking */
	MoEmbedded *embedded;		/* NULL: a real cluster */
	rd_kafka_queue_t *embedded_queue;
	MoLane	   *lanes[MO_LANES];	/* malloc'd; NULL while closed */
	rd_kafka_queue_t *queues[MO_LANES];
	int64		undelivered[MO_TRANSACTIONAL_LANES];
	int64		failed[MO_TRANSACTIONAL_LANES];
	MoTopic    *topics;

	/* The last error that came without a call: first and latest time. */
	TimestampTz outage_since;	/* 0 = none */
	TimestampTz outage_latest;
	char		outage[256];
	char		trouble[640];	/* what mo_producer_trouble() returned */

	TimestampTz log_window;
	int			log_lines;
	int			log_dropped;
};

/* ----------------------------------------------------------------
 * Handles
 * ----------------------------------------------------------------
 */

static rd_kafka_queue_t *
connect_queue(MoProducer *producer, rd_kafka_t *rk)
{
	rd_kafka_queue_t *queue;

	(void) rd_kafka_set_log_queue(rk, NULL);
	queue = rd_kafka_queue_get_main(rk);
	rd_kafka_queue_io_event_enable(queue, producer->pipe[1], "k", 1);
	return queue;
}

/* What the lane's handle is made of; passes to rd_kafka_new(). */
static rd_kafka_conf_t *
lane_conf(MoProducer *producer, MoLane *lane)
{
	rd_kafka_conf_t *conf;

	if (lane->number == MO_LANE_CONTROL)
		return rd_kafka_conf_dup(producer->conf);
	conf = mo_producer_transactional_conf(producer->conf,
										  producer->transactional_id,
										  lane->number);
	mo_socket_watch(conf, lane);
	return conf;
}

/*
 * Opens one lane, all signals blocked.  False with a reason if librdkafka or
 * the system refuses; nothing is left behind then.
 */
static bool
open_lane(MoProducer *producer, int number, char *reason, size_t size)
{
	rd_kafka_conf_t *conf;
	MoLane	   *lane = mo_lane_create();

	if (lane == NULL)
	{
		strlcpy(reason, "out of memory", size);
		return false;
	}
	lane->number = number;
	lane->wake_fd = producer->pipe[1];
	lane->conf = producer->conf;
	lane->group = producer->group;
	lane->marker_topic = producer->marker_topic;
	lane->embedded = producer->embedded;
	conf = lane_conf(producer, lane);
	lane->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, size);
	if (lane->rk == NULL)
	{
		rd_kafka_conf_destroy(conf);
		mo_lane_free(lane);
		return false;
	}
	if (!mo_lane_start(lane))
	{
		snprintf(reason, size, "could not start a thread: %m");
		rd_kafka_destroy(lane->rk);
		mo_lane_free(lane);
		return false;
	}

	producer->queues[number] = connect_queue(producer, lane->rk);
	producer->lanes[number] = lane;
	return true;
}

/* A handle of librdkafka for the topic, for each id that is to write to it. */
static void
open_topic(MoProducer *producer, MoTopic *topic, int number)
{
	topic->rkt[number] = rd_kafka_topic_new(producer->lanes[number]->rk,
											topic->name, NULL);
	if (topic->rkt[number] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic name \"%s\" is not accepted", topic->name),
				 errdetail("librdkafka says: %s.",
						   rd_kafka_err2str(rd_kafka_last_error()))));
}

/*
 * Closes lanes first..last: lets go of all that belongs to their handles and
 * waits, all of them together, until their threads have destroyed them.
 * False if a thread did not end in time; it is left behind with its lane.
 */
static bool
close_lanes(MoProducer *producer, int first, int last)
{
	TimestampTz start = GetCurrentTimestamp();
	bool		all = true;

	for (int i = first; i <= last; i++)
	{
		if (producer->lanes[i] == NULL)
			continue;
		for (MoTopic *topic = producer->topics; topic; topic = topic->next)
		{
			if (i < MO_TRANSACTIONAL_LANES && topic->rkt[i])
			{
				rd_kafka_topic_destroy(topic->rkt[i]);
				topic->rkt[i] = NULL;
			}
		}
		rd_kafka_queue_destroy(producer->queues[i]);
		mo_lane_stop(producer->lanes[i]);
	}

	for (int i = first; i <= last; i++)
	{
		int			used = (int) ((GetCurrentTimestamp() - start) / 1000);

		if (producer->lanes[i] == NULL)
			continue;
		if (mo_lane_join(producer->lanes[i], Max(STOP_TIMEOUT - used, 0)))
			mo_lane_free(producer->lanes[i]);
		else
			all = false;
		producer->lanes[i] = NULL;
		producer->queues[i] = NULL;
	}
	return all;
}

/*
 * Opens lanes first..last, and before the control lane the embedded broker
 * if there is to be one.  Threads inherit the signal mask of the thread that
 * starts them, and librdkafka masks only some of its own; PostgreSQL's signal
 * handlers must run in the main thread alone.
 */
static bool
open_lanes(MoProducer *producer, int first, int last, char *reason,
		   size_t size)
{
	sigset_t	all;
	sigset_t	before;
	bool		ok = true;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = first; i <= last && ok; i++)
		ok = open_lane(producer, i, reason, size);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok;
}

static bool
open_embedded(MoProducer *producer, char *reason, size_t size)
{
	sigset_t	all;
	sigset_t	before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	producer->embedded = mo_embedded_start(rd_kafka_conf_dup(producer->conf),
										   reason, size);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (producer->embedded == NULL)
		return false;

	producer->embedded_queue =
		connect_queue(producer, mo_embedded_handle(producer->embedded));
	return true;
}

static void
refuse(const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("could not create a Kafka producer"),
			 errdetail("librdkafka says: %s.", reason)));
}

static void
open_pipe(MoProducer *producer)
{
	if (pipe2(producer->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create a pipe: %m")));
}

MoProducer *
mo_producer_create(const MoProducerConfig *config)
{
	rd_kafka_conf_t *conf = mo_producer_conf(config);
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "mesh_outbox producer",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	MoProducer *producer = palloc0(sizeof(MoProducer));
	char		reason[512] = "";

	producer->context = context;
	producer->conf = conf;
	producer->pipe[0] = producer->pipe[1] = -1;

	PG_TRY();
	{
		producer->transactional_id = pstrdup(config->transactional_id);
		producer->group = pstrdup(config->group);
		producer->marker_topic = pstrdup(config->marker_topic);
		open_pipe(producer);
		if (mo_producer_is_embedded(config->brokers))
		{
			if (!open_embedded(producer, reason, sizeof(reason)))
				refuse(reason);
			producer->bootstrap =
				pstrdup(mo_embedded_bootstrap(producer->embedded));
		}
		else
			producer->bootstrap = pstrdup(config->brokers);
		mo_producer_set_bootstrap(conf, producer->bootstrap);
		if (!open_lanes(producer, 0, MO_LANES - 1, reason, sizeof(reason)))
			refuse(reason);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		mo_producer_destroy(producer);
		PG_RE_THROW();
	}
	PG_END_TRY();

	MemoryContextSwitchTo(caller);
	mo_producer_service(producer);	/* arms the pipe */
	return producer;
}

static int	exit_code = 0;

static void
remember_exit_code(int code, Datum arg)
{
	exit_code = code;
}

static void
leave_at_once(void)
{
	_exit(exit_code);
}

/*
 * Raises no error.  A thread that does not end in time is left behind with
 * all that it may still use.  It must not live to see exit() take libraries
 * apart under it (OpenSSL's cleanup, for one), for a crash would make the
 * postmaster restart every session: so when PostgreSQL has done its part, the
 * process leaves without the rest.
 */
void
mo_producer_destroy(MoProducer *producer)
{
	if (!close_lanes(producer, 0, MO_LANES - 1))
	{
		on_proc_exit(remember_exit_code, 0);
		(void) atexit(leave_at_once);
		return;
	}
	if (producer->embedded)
	{
		rd_kafka_queue_destroy(producer->embedded_queue);
		mo_embedded_stop(producer->embedded);
	}
	rd_kafka_conf_destroy(producer->conf);
	for (int i = 0; i < 2; i++)
	{
		if (producer->pipe[i] >= 0)
			close(producer->pipe[i]);
	}
	MemoryContextDelete(producer->context);
}

void
mo_producer_reset(MoProducer *producer)
{
	char		reason[512] = "";

	if (!close_lanes(producer, 0, MO_TRANSACTIONAL_LANES - 1))
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("a thread of librdkafka did not end in time")));
	for (int i = 0; i < MO_TRANSACTIONAL_LANES; i++)
	{
		producer->undelivered[i] = 0;
		producer->failed[i] = 0;
	}
	if (!open_lanes(producer, 0, MO_TRANSACTIONAL_LANES - 1, reason,
					sizeof(reason)))
		refuse(reason);
	for (MoTopic *topic = producer->topics; topic; topic = topic->next)
	{
		for (int i = 0; i < MO_TRANSACTIONAL_LANES; i++)
			open_topic(producer, topic, i);
	}
	mo_producer_service(producer);	/* arms the pipe */
}

const char *
mo_producer_bootstrap(MoProducer *producer)
{
	return producer->bootstrap;
}

int
mo_producer_socket(MoProducer *producer)
{
	return producer->pipe[0];
}

/* ----------------------------------------------------------------
 * What comes back
 * ----------------------------------------------------------------
 */

/*
 * A line of librdkafka in the server's log.  The text was copied: nothing of
 * librdkafka's is held while ereport runs.
 */
static void
log_line(MoProducer *producer, const char *text)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now - producer->log_window >= LOG_WINDOW)
	{
		if (producer->log_dropped > 0)
			ereport(LOG,
					(errmsg("%d more messages of librdkafka were not logged",
							producer->log_dropped)));
		producer->log_window = now;
		producer->log_lines = producer->log_dropped = 0;
	}
	if (producer->log_lines >= LOG_LINES)
		producer->log_dropped++;
	else
	{
		producer->log_lines++;
		ereport(LOG, (errmsg("librdkafka: %s", text)));
	}
}

static void
take_reports(MoProducer *producer, int lane, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *message;

	while ((message = rd_kafka_event_message_next(event)) != NULL)
	{
		MoRecord   *record = message->_private;

		record->offset = message->err ? -1 : message->offset;
		record->error = message->err;
		producer->undelivered[lane]--;
		if (message->err)
			producer->failed[lane]++;
	}
}

/*
 * An error without a call.  Those that mean that the cluster cannot be
 * reached are kept until something succeeds; the control lane finds out when.
 */
static void
take_error(MoProducer *producer, rd_kafka_resp_err_t code, const char *text)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR__TRANSPORT:
		case RD_KAFKA_RESP_ERR__RESOLVE:
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR__SSL:
		case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
			break;
		default:
			return;
	}

	producer->outage_latest = GetCurrentTimestamp();
	if (producer->outage_since == 0)
		producer->outage_since = producer->outage_latest;

	/* "all brokers are down" says less than what came before it. */
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
		producer->outage[0] == '\0')
		strlcpy(producer->outage, text, sizeof(producer->outage));
	mo_lane_probe(producer->lanes[MO_LANE_CONTROL]);
}

static void
take_event(MoProducer *producer, int lane, rd_kafka_event_t *event)
{
	char		text[512];
	const char *facility;
	const char *line;
	int			level;

	switch (rd_kafka_event_type(event))
	{
		case RD_KAFKA_EVENT_DR:
			take_reports(producer, lane, event);
			rd_kafka_event_destroy(event);
			break;

		case RD_KAFKA_EVENT_ERROR:
			{
				rd_kafka_resp_err_t code = rd_kafka_event_error(event);

				strlcpy(text, rd_kafka_event_error_string(event), sizeof(text));
				rd_kafka_event_destroy(event);
				take_error(producer, code, text);
				log_line(producer, text);
				break;
			}

		case RD_KAFKA_EVENT_LOG:
			if (rd_kafka_event_log(event, &facility, &line, &level) == 0)
				snprintf(text, sizeof(text), "%s: %s", facility, line);
			rd_kafka_event_destroy(event);
			log_line(producer, text);
			break;

		default:
			rd_kafka_event_destroy(event);
			break;
	}
}

static void
drain_queue(MoProducer *producer, int lane, rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event;

	while (queue && (event = rd_kafka_queue_poll(queue, 0)) != NULL)
		take_event(producer, lane, event);
}

/*
 * A marker that does not get through although all records have is probably
 * forgotten in the library (producer_socket.c).  While records are under way
 * it may just be behind them.
 */
static void
unstick(MoProducer *producer)
{
	TimestampTz before = GetCurrentTimestamp() - STUCK_AGE;

	for (int i = 0; i < MO_TRANSACTIONAL_LANES; i++)
	{
		if (producer->lanes[i] && producer->undelivered[i] == 0 &&
			mo_lane_unstick(producer->lanes[i], before))
			ereport(LOG,
					(errmsg("connections of transactional id %s-%d were cut to wake librdkafka",
							producer->transactional_id, i)));
	}
}

void
mo_producer_service(MoProducer *producer)
{
	char		bytes[64];

	while (read(producer->pipe[0], bytes, sizeof(bytes)) > 0)
		;
	for (int i = 0; i < MO_LANES; i++)
		drain_queue(producer, i, producer->queues[i]);
	drain_queue(producer, MO_LANE_CONTROL, producer->embedded_queue);
	unstick(producer);
}

/* ----------------------------------------------------------------
 * Trouble
 * ----------------------------------------------------------------
 */

/*
 * The oldest call that takes too long, or false; also when something last
 * worked.
 */
static bool
call_trouble(MoProducer *producer, TimestampTz *since, char *text,
			 size_t size, TimestampTz *last_success)
{
	TimestampTz oldest = GetCurrentTimestamp() - TROUBLE_AGE;
	bool		found = false;

	for (int i = 0; i < MO_LANES; i++)
	{
		MoLane	   *lane = producer->lanes[i];

		pthread_mutex_lock(&lane->lock);
		*last_success = Max(*last_success, lane->last_success);
		if (lane->call != NULL && lane->call_since < oldest)
		{
			oldest = *since = lane->call_since;
			snprintf(text, size, "%s: %s", lane->call_name,
					 lane->trouble[0] ? lane->trouble : "no answer yet");
			found = true;
		}
		pthread_mutex_unlock(&lane->lock);
	}
	return found;
}

/* Trouble that ends within a second is none. */
const char *
mo_producer_trouble(MoProducer *producer, TimestampTz *since)
{
	TimestampTz last_success = 0;
	char		text[320] = "";
	bool		call;

	call = call_trouble(producer, since, text, sizeof(text), &last_success);
	if (last_success > producer->outage_latest)
	{
		producer->outage_since = 0;
		producer->outage[0] = '\0';
	}
	if (producer->outage_since == 0 ||
		producer->outage_since > GetCurrentTimestamp() - TROUBLE_AGE)
	{
		strlcpy(producer->trouble, text, sizeof(producer->trouble));
		return call ? producer->trouble : NULL;
	}

	/* What the connection says explains what the call says. */
	*since = call ? Min(*since, producer->outage_since) : producer->outage_since;
	snprintf(producer->trouble, sizeof(producer->trouble), "%s%s%s%s",
			 producer->outage, call ? " (" : "", text, call ? ")" : "");
	return producer->trouble;
}

/* ----------------------------------------------------------------
 * Calls
 * ----------------------------------------------------------------
 */

bool
mo_producer_busy(MoProducer *producer, int lane)
{
	return mo_lane_busy(producer->lanes[lane]);
}

const MoKafkaError *
mo_producer_result(MoProducer *producer, int lane)
{
	return &producer->lanes[lane]->result;
}

void
mo_producer_start_init(MoProducer *producer, int lane)
{
	mo_lane_submit(producer->lanes[lane], mo_lane_call_init,
				   "fencing earlier producers");
}

void
mo_producer_start_send_marker(MoProducer *producer, int lane, XLogRecPtr lsn,
							  const char *metadata)
{
	MoLane	   *l = producer->lanes[lane];

	Assert(strlen(metadata) <= MO_METADATA_MAX);
	l->marker_lsn = lsn;
	strlcpy(l->marker_metadata, metadata, sizeof(l->marker_metadata));
	mo_lane_submit(l, mo_lane_call_send_marker, "sending the marker");
}

void
mo_producer_start_commit(MoProducer *producer, int lane)
{
	Assert(producer->undelivered[lane] == 0);
	mo_lane_submit(producer->lanes[lane], mo_lane_call_commit, "committing");
}

void
mo_producer_start_abort(MoProducer *producer, int lane)
{
	mo_lane_submit(producer->lanes[lane], mo_lane_call_abort, "aborting");
}

/* ----------------------------------------------------------------
 * Records
 * ----------------------------------------------------------------
 */

bool
mo_producer_begin(MoProducer *producer, int lane, MoKafkaError *error)
{
	MoLane	   *l = producer->lanes[lane];
	rd_kafka_error_t *refused = rd_kafka_begin_transaction(l->rk);
	rd_kafka_resp_err_t code;
	char		reason[200];

	if (refused == NULL)
	{
		l->marker_sent = false;
		producer->undelivered[lane] = 0;
		producer->failed[lane] = 0;
		return true;
	}
	error->status = mo_lane_judge(l->rk, refused, &code, reason,
								  sizeof(reason));
	error->code = code;
	snprintf(error->message, sizeof(error->message),
			 "beginning a transaction: %s", reason);
	rd_kafka_error_destroy(refused);
	return false;
}

/*
 * There is no question for it in librdkafka's interface, but beginning a
 * transaction where one is open is refused with the open one's error if it
 * has any, and with _STATE if not.
 */
bool
mo_producer_doomed(MoProducer *producer, int lane, MoKafkaError *error)
{
	MoLane	   *l = producer->lanes[lane];
	rd_kafka_error_t *refused = rd_kafka_begin_transaction(l->rk);
	rd_kafka_resp_err_t code;
	char		reason[200];

	error->status = mo_lane_judge(l->rk, refused, &code, reason,
								  sizeof(reason));
	error->code = code;
	strlcpy(error->message, reason, sizeof(error->message));
	rd_kafka_error_destroy(refused);
	return code != RD_KAFKA_RESP_ERR__STATE;
}

/*
 * The header list passes to librdkafka when the record is taken, and stays
 * ours when not.
 */
static rd_kafka_headers_t *
build_headers(const MoHeader *headers, int nheaders)
{
	rd_kafka_headers_t *list = rd_kafka_headers_new(nheaders);

	for (int i = 0; i < nheaders; i++)
		(void) rd_kafka_header_add(list, headers[i].name, -1,
								   headers[i].value, headers[i].length);
	return list;
}

/* Why the library did not take a record that is not to blame for it. */
static void
judge_produce(MoProducer *producer, int lane, rd_kafka_resp_err_t code,
			  MoKafkaError *error)
{
	char		reason[200];

	error->status = mo_lane_handle_status(producer->lanes[lane]->rk, &code,
										  reason, sizeof(reason));
	if (error->status == MO_KAFKA_OK)
	{
		strlcpy(reason, rd_kafka_err2str(code), sizeof(reason));
		switch (code)
		{
			case RD_KAFKA_RESP_ERR__STATE:
				error->status = MO_KAFKA_ABORT;
				break;
			case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
			case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
				error->status = MO_KAFKA_REFUSED;
				break;
			default:
				error->status = mo_lane_code_refused(code) ?
					MO_KAFKA_REFUSED : MO_KAFKA_FATAL;
				break;
		}
	}
	error->code = code;
	snprintf(error->message, sizeof(error->message), "producing: %s", reason);
}

/*
 * rd_kafka_producev() with a header list that is ours until it succeeds: the
 * form in which librdkafka 2.0 does not free the headers twice when the
 * partition does not exist.
 */
MoProduceResult
mo_producer_produce(MoProducer *producer, int lane, MoRecord *record,
					const MoHeader *headers, int nheaders,
					MoKafkaError *error)
{
	rd_kafka_headers_t *list = build_headers(headers, nheaders);
	rd_kafka_resp_err_t code;

	record->offset = -1;
	record->error = 0;
	code = rd_kafka_producev(producer->lanes[lane]->rk,
							 RD_KAFKA_V_RKT(record->topic->rkt[lane]),
							 RD_KAFKA_V_PARTITION(record->partition),
							 RD_KAFKA_V_KEY(record->key,
											(size_t) record->key_length),
							 RD_KAFKA_V_VALUE(unconstify(void *, record->value),
											  (size_t) record->value_length),
							 RD_KAFKA_V_HEADERS(list),
							 RD_KAFKA_V_OPAQUE(record),
							 RD_KAFKA_V_END);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		producer->undelivered[lane]++;
		return MO_PRODUCE_OK;
	}

	rd_kafka_headers_destroy(list);
	if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return MO_PRODUCE_FULL;
	if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
	{
		error->status = MO_KAFKA_REFUSED;
		error->code = code;
		snprintf(error->message, sizeof(error->message),
				 "the record is larger than message.max.bytes");
		return MO_PRODUCE_REFUSED;
	}
	judge_produce(producer, lane, code, error);
	return MO_PRODUCE_FAILED;
}

int64
mo_producer_undelivered(MoProducer *producer, int lane)
{
	return producer->undelivered[lane];
}

int64
mo_producer_failed(MoProducer *producer, int lane)
{
	return producer->failed[lane];
}

/*
 * Telling both handles about the topic early lets them fetch its metadata
 * before the first record comes; librdkafka 2.0 would stall that for a second
 * otherwise.
 */
MoTopic *
mo_producer_topic(MoProducer *producer, const char *name)
{
	MoTopic    *topic;

	for (topic = producer->topics; topic; topic = topic->next)
	{
		if (strcmp(topic->name, name) == 0)
			return topic;
	}

	topic = MemoryContextAllocZero(producer->context,
								   offsetof(MoTopic, name) + strlen(name) + 1);
	strcpy(topic->name, name);
	for (int i = 0; i < MO_TRANSACTIONAL_LANES; i++)
		open_topic(producer, topic, i);
	topic->next = producer->topics;
	producer->topics = topic;
	return topic;
}

/* ----------------------------------------------------------------
 * Calls of the control lane
 * ----------------------------------------------------------------
 */

void
mo_producer_start_read_marker(MoProducer *producer, bool committed)
{
	MoLane	   *lane = producer->lanes[MO_LANE_CONTROL];

	lane->marker_committed = committed;
	mo_lane_submit(lane, mo_admin_call_read_marker, "reading the marker");
}

bool
mo_producer_marker(MoProducer *producer, XLogRecPtr *lsn,
				   const char **metadata)
{
	MoLane	   *lane = producer->lanes[MO_LANE_CONTROL];

	*lsn = lane->marker_lsn;
	*metadata = lane->marker_metadata;
	return lane->marker_found;
}

/*
 * What Kafka cannot even be asked for ends the call at once; a publisher must
 * not fall over a topic's name or settings.
 */
void
mo_producer_start_ensure_topic(MoProducer *producer, const MoTopicSpec *spec)
{
	MoLane	   *lane = producer->lanes[MO_LANE_CONTROL];
	char		reason[200] = "";

	if (lane->new_topic)
		rd_kafka_NewTopic_destroy(lane->new_topic);
	lane->new_topic = NULL;
	lane->call_name = "looking for the topic";
	lane->partitions = 0;
	lane->topic_id[0] = '\0';

	if (strlcpy(lane->topic, spec->name, sizeof(lane->topic)) >= sizeof(lane->topic))
		snprintf(reason, sizeof(reason), "its name is longer than %d bytes",
				 MO_TOPIC_NAME_MAX);
	else
		lane->new_topic = rd_kafka_NewTopic_new(spec->name, spec->partitions,
												spec->replication > 0 ?
												spec->replication : -1,
												reason, sizeof(reason));
	if (lane->new_topic == NULL)
	{
		mo_lane_fail(lane, MO_KAFKA_REFUSED, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
					 reason);
		return;
	}
	if (!mo_producer_topic_settings(lane->new_topic, spec->config))
	{
		mo_lane_fail(lane, MO_KAFKA_REFUSED, RD_KAFKA_RESP_ERR_INVALID_CONFIG,
					 "a topic setting must be a string, a number or a boolean");
		return;
	}
	lane->partitions_wanted = spec->partitions;
	mo_lane_submit(lane, mo_admin_call_ensure_topic, lane->call_name);
}

int
mo_producer_topic_partitions(MoProducer *producer, char *topic_id, int size)
{
	MoLane	   *lane = producer->lanes[MO_LANE_CONTROL];

	strlcpy(topic_id, lane->topic_id, size);
	return lane->partitions;
}

int64
mo_producer_topic_limit(MoProducer *producer)
{
	return producer->lanes[MO_LANE_CONTROL]->topic_limit;
}

bool
mo_producer_limit_batches(MoProducer *producer, int64 size)
{
	char		value[32];
	size_t		length = sizeof(value);

	if (rd_kafka_conf_get(producer->conf, "batch.size", value, &length) == RD_KAFKA_CONF_OK &&
		strtoll(value, NULL, 10) <= size)
		return false;
	snprintf(value, sizeof(value), INT64_FORMAT, size);
	return rd_kafka_conf_set(producer->conf, "batch.size", value, NULL, 0) == RD_KAFKA_CONF_OK;
}

void
mo_producer_start_end_offset(MoProducer *producer, const char *topic,
							 int partition)
{
	MoLane	   *lane = producer->lanes[MO_LANE_CONTROL];

	strlcpy(lane->topic, topic, sizeof(lane->topic));
	lane->partition = partition;
	mo_lane_submit(lane, mo_admin_call_end_offset, "asking for the end offset");
}

int64
mo_producer_end_offset(MoProducer *producer)
{
	return producer->lanes[MO_LANE_CONTROL]->end_offset;
}
