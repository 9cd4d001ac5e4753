/*-------------------------------------------------------------------------
 *
 * producer.c
 *	  The producer's main thread side: making and breaking handles.
 *
 * Called by the publisher only.  Owns three lanes (producer_internal.h), the
 * pipe that wakes the publisher, and for brokers => 'embedded' the broker.
 * producer*.c are the only files that know librdkafka.
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
	(void) mo_producer_service(producer);	/* arms the pipe */
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
	(void) mo_producer_service(producer);	/* arms the pipe */
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
