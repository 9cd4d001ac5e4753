/*-------------------------------------------------------------------------
 *
 * producer_events.c
 *	  The producer's main thread side: what librdkafka and the lanes have to
 *	  say.
 *
 * Called by the publisher whenever the producer's socket is readable, and
 * between.
 *
 * Everything that librdkafka has to say arrives as an event in a queue that
 * mo_producer_service() polls; the two callbacks of producer_socket.c are all
 * of ours that runs in its threads.  It writes a byte to the pipe when a queue
 * turns from empty to non-empty, and not again before the queue was polled;
 * so service empties the pipe first and every queue after it, to the end.
 *
 * A cluster that is away raises no error here.  librdkafka retries in its
 * threads, calls repeat in the lanes, and mo_producer_trouble() tells.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "utils/timestamp.h"

#include "publisher/producer_internal.h"

/* What lasts no longer than this is no trouble, in µs. */
#define TROUBLE_AGE			USECS_PER_SEC

/* An attempt that has outlasted its time-out so far will not end by itself. */
#define STUCK_AGE			((MO_MARKER_TIMEOUT + 1000) * INT64CONST(1000))

/* No more than so many log lines of librdkafka in so many µs. */
#define LOG_LINES			10
#define LOG_WINDOW			(10 * USECS_PER_SEC)

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

	producer->reported_at[lane] = GetCurrentTimestamp();
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

bool
mo_producer_service(MoProducer *producer)
{
	char		bytes[64];
	ssize_t		n;
	bool		any = false;

	/* A short read has emptied it; what comes now wakes us again. */
	do
	{
		n = read(producer->pipe[0], bytes, sizeof(bytes));
		any |= n > 0;
	} while (n == sizeof(bytes));
	for (int i = 0; i < MO_LANES; i++)
		drain_queue(producer, i, producer->queues[i]);
	drain_queue(producer, MO_LANE_CONTROL, producer->embedded_queue);
	unstick(producer);
	return any;
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

/*
 * Records that nobody acknowledges: their topic was deleted, or the leader of
 * a partition is gone.  librdkafka waits for it without a word.
 */
static bool
record_trouble(MoProducer *producer, TimestampTz *since, char *text,
			   size_t size)
{
	TimestampTz oldest = GetCurrentTimestamp() - TROUBLE_AGE;

	for (int i = 0; i < MO_TRANSACTIONAL_LANES; i++)
	{
		if (producer->undelivered[i] == 0 || producer->reported_at[i] >= oldest)
			continue;
		*since = producer->reported_at[i];
		snprintf(text, size, INT64_FORMAT
				 " records are not acknowledged: a topic or the leader of a partition is missing, or slow",
				 producer->undelivered[i]);
		return true;
	}
	return false;
}

/* Trouble that ends within a second is none. */
const char *
mo_producer_trouble(MoProducer *producer, TimestampTz *since)
{
	TimestampTz last_success = 0;
	char		text[320] = "";
	bool		call;

	call = call_trouble(producer, since, text, sizeof(text), &last_success) ||
		record_trouble(producer, since, text, sizeof(text));
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
