/*-------------------------------------------------------------------------
 *
 * producer_lane.c
 *	  A lane: one thread, one librdkafka handle, one call at a time; and the
 *	  transactional calls.
 *
 * Called by producer.c (main thread) through the functions that are marked
 * so; all else runs in the lane's own thread.  Nothing of PostgreSQL may be
 * called in this file: a palloc, an ereport or a look at the server's
 * globals off the main thread corrupts the process, and with it the server.
 * (pg_snprintf is pure and is allowed.)
 *
 * librdkafka's transactional functions block.  Each is called with a short
 * time-out and repeated while the library says that it is retriable, so that
 * a stop is noticed soon.  What may be repeated differs: init, commit and
 * abort resume where they were and only the same function is allowed until
 * it has ended; send_offsets starts anew and must be given the same
 * arguments.  Repeating the same function covers all four.
 *
 * The thread owns the handle from its start to its end, and destroys it, so
 * that several handles go down side by side, and a destroy that hangs (in a
 * DNS look-up, say) hangs a thread and not the process.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "publisher/producer_internal.h"

/* Between two probes of a cluster that is away, in ms. */
#define PROBE_INTERVAL		1000

/* How long an abort may take of a cluster that answers, ms. */
#define ABORT_PATIENCE		30000

/* How long the end of a handle may take to leave a transaction, ms. */
#define LEAVE_TIMEOUT		200

typedef rd_kafka_error_t *(*TransactionalCall) (MoLane *lane);

/* ----------------------------------------------------------------
 * The thread
 * ----------------------------------------------------------------
 */

/* GetCurrentTimestamp() for any thread. */
TimestampTz
mo_lane_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((TimestampTz) now.tv_sec -
			((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)) *
		USECS_PER_SEC + now.tv_nsec / 1000;
}

static struct timespec
deadline_in(int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long) (ms % 1000) * 1000000L;
	if (at.tv_nsec >= 1000000000L)
	{
		at.tv_sec++;
		at.tv_nsec -= 1000000000L;
	}
	return at;
}

/*
 * A full pipe is as good as a written byte: the reader has not looked yet.
 */
static void
wake_main(MoLane *lane)
{
	ssize_t		rc;

	do
		rc = write(lane->wake_fd, "l", 1);
	while (rc < 0 && errno == EINTR);
}

/*
 * With the lock held: waits for a call.  Probes meanwhile, if asked to; the
 * probe is made without the lock, and a call that comes waits for its end.
 */
static MoCall
next_call(MoLane *lane)
{
	while (!lane->stop && lane->call == NULL)
	{
		struct timespec at = deadline_in(PROBE_INTERVAL);
		bool		back;

		if (!lane->probe)
		{
			pthread_cond_wait(&lane->changed, &lane->lock);
			continue;
		}
		pthread_mutex_unlock(&lane->lock);
		back = mo_admin_probe(lane->rk);
		pthread_mutex_lock(&lane->lock);
		if (back)
		{
			lane->probe = false;
			lane->last_success = mo_lane_now();
			wake_main(lane);
		}
		else if (!lane->stop && lane->call == NULL)
			pthread_cond_timedwait(&lane->changed, &lane->lock, &at);
	}
	return lane->stop ? NULL : lane->call;
}

/*
 * A handle must not be destroyed while librdkafka is about to register
 * partitions with the transaction: it sends the request and counts it
 * afterwards, and a broker thread that ends in between finds a request that
 * was not counted and takes the whole process down (an assertion; 2.0).  An
 * abort that has begun lets no further registration begin and comes behind
 * one that has.  More of it is not needed: whoever uses the id next ends the
 * transaction.  Outside of one, the call returns at once.
 */
static void
leave_transaction(rd_kafka_t *rk)
{
	rd_kafka_error_t *error = rd_kafka_abort_transaction(rk, LEAVE_TIMEOUT);

	if (error)
		rd_kafka_error_destroy(error);
}

static void *
lane_main(void *arg)
{
	MoLane	   *lane = arg;
	MoCall		call;

	pthread_mutex_lock(&lane->lock);
	while ((call = next_call(lane)) != NULL)
	{
		pthread_mutex_unlock(&lane->lock);
		call(lane);
		pthread_mutex_lock(&lane->lock);
		lane->call = NULL;
		wake_main(lane);
	}
	pthread_mutex_unlock(&lane->lock);

	if (lane->new_topic)
		rd_kafka_NewTopic_destroy(lane->new_topic);
	leave_transaction(lane->rk);
	rd_kafka_destroy(lane->rk);

	pthread_mutex_lock(&lane->lock);
	lane->rk = NULL;
	lane->ended = true;
	pthread_cond_broadcast(&lane->changed);
	pthread_mutex_unlock(&lane->lock);
	return NULL;
}

/* Main thread.  NULL if there is no memory. */
MoLane *
mo_lane_create(void)
{
	MoLane	   *lane = calloc(1, sizeof(MoLane));
	pthread_condattr_t attr;

	if (lane == NULL)
		return NULL;
	pthread_mutex_init(&lane->sockets_lock, NULL);
	pthread_mutex_init(&lane->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&lane->changed, &attr);
	pthread_condattr_destroy(&attr);
	return lane;
}

/* Main thread; the lane's thread never started, or was joined. */
void
mo_lane_free(MoLane *lane)
{
	pthread_cond_destroy(&lane->changed);
	pthread_mutex_destroy(&lane->lock);
	pthread_mutex_destroy(&lane->sockets_lock);
	free(lane);
}

/*
 * Main thread, with all signals blocked (the thread inherits the mask).
 * Returns false with errno set if there is no thread to be had.
 */
bool
mo_lane_start(MoLane *lane)
{
	errno = pthread_create(&lane->thread, NULL, lane_main, lane);
	return errno == 0;
}

/* Main thread: asks the lane to end; mo_lane_join() waits for it. */
void
mo_lane_stop(MoLane *lane)
{
	pthread_mutex_lock(&lane->lock);
	lane->stop = true;
	pthread_cond_broadcast(&lane->changed);
	pthread_mutex_unlock(&lane->lock);
}

/* With the lock held: has the lane ended by then? */
static bool
ended_by(MoLane *lane, struct timespec at)
{
	while (!lane->ended)
	{
		if (pthread_cond_timedwait(&lane->changed, &lane->lock, &at) == ETIMEDOUT)
			break;
	}
	return lane->ended;
}

/*
 * Main thread: false if the lane has not ended in time.  It may then still
 * read the records it was given, so the process must not go on using them.
 *
 * A call that outlasts its time-out waits for an answer from a silent broker;
 * cutting the connection ends it.
 */
bool
mo_lane_join(MoLane *lane, int timeout_ms)
{
	struct timespec soon = deadline_in(Min(MO_CALL_TIMEOUT + MO_RETRY_PAUSE,
										   timeout_ms));
	struct timespec end = deadline_in(timeout_ms);
	bool		ended;

	pthread_mutex_lock(&lane->lock);
	if (!ended_by(lane, soon))
		mo_socket_cut(lane);
	ended = ended_by(lane, end);
	pthread_mutex_unlock(&lane->lock);
	if (ended)
		pthread_join(lane->thread, NULL);
	return ended;
}

bool
mo_lane_stopping(MoLane *lane)
{
	bool		stop;

	pthread_mutex_lock(&lane->lock);
	stop = lane->stop;
	pthread_mutex_unlock(&lane->lock);
	return stop;
}

/* Main thread; the lane is not busy and its arguments are set. */
void
mo_lane_submit(MoLane *lane, MoCall call, const char *name)
{
	pthread_mutex_lock(&lane->lock);
	Assert(lane->call == NULL);
	lane->call = call;
	lane->call_name = name;
	lane->call_since = mo_lane_now();
	lane->attempt_since = 0;
	lane->trouble[0] = '\0';
	pthread_cond_broadcast(&lane->changed);
	pthread_mutex_unlock(&lane->lock);
}

/* Main thread. */
bool
mo_lane_busy(MoLane *lane)
{
	bool		busy;

	pthread_mutex_lock(&lane->lock);
	busy = lane->call != NULL;
	pthread_mutex_unlock(&lane->lock);
	return busy;
}

/*
 * Main thread: cuts the lane's connections if the attempt that runs started
 * before that time, and says so.  The next time it counts from now.
 */
bool
mo_lane_unstick(MoLane *lane, TimestampTz before)
{
	bool		stuck;

	pthread_mutex_lock(&lane->lock);
	stuck = lane->call != NULL && lane->attempt_since != 0 &&
		lane->attempt_since < before;
	if (stuck)
	{
		lane->attempt_since = mo_lane_now();
		mo_socket_cut(lane);
	}
	pthread_mutex_unlock(&lane->lock);
	return stuck;
}

/* Main thread: something said that the cluster is away; find out more. */
void
mo_lane_probe(MoLane *lane)
{
	pthread_mutex_lock(&lane->lock);
	lane->probe = true;
	pthread_cond_broadcast(&lane->changed);
	pthread_mutex_unlock(&lane->lock);
}

/* ----------------------------------------------------------------
 * Inside a call
 * ----------------------------------------------------------------
 */

/*
 * Notes why the call has to be repeated, and says whether it may: not if the
 * lane is to end.  An attempt that did not use up its time-out asks for a
 * pause, so that a cluster which refuses at once costs no CPU.
 */
bool
mo_lane_retry(MoLane *lane, const char *reason, bool pause)
{
	struct timespec at = deadline_in(MO_RETRY_PAUSE);
	bool		again;

	pthread_mutex_lock(&lane->lock);
	strlcpy(lane->trouble, reason, sizeof(lane->trouble));
	while (pause && !lane->stop)
	{
		if (pthread_cond_timedwait(&lane->changed, &lane->lock, &at) == ETIMEDOUT)
			break;
	}
	again = !lane->stop;
	pthread_mutex_unlock(&lane->lock);

	if (!again)
		mo_lane_fail(lane, MO_KAFKA_FATAL, RD_KAFKA_RESP_ERR__DESTROY,
					 "the producer is being destroyed");
	return again;
}

void
mo_lane_succeed(MoLane *lane)
{
	lane->result.status = MO_KAFKA_OK;
	lane->result.code = 0;
	lane->result.message[0] = '\0';

	pthread_mutex_lock(&lane->lock);
	lane->last_success = mo_lane_now();
	pthread_mutex_unlock(&lane->lock);
}

void
mo_lane_fail(MoLane *lane, MoKafkaStatus status, rd_kafka_resp_err_t code,
			 const char *reason)
{
	lane->result.status = status;
	lane->result.code = code;
	snprintf(lane->result.message, sizeof(lane->result.message), "%s: %s",
			 lane->call_name, reason);
}

/* ----------------------------------------------------------------
 * What an error means
 * ----------------------------------------------------------------
 */

/*
 * Errors that repeat for ever unless a person changes a right, a setting or
 * a name.
 */
bool
mo_lane_code_refused(rd_kafka_resp_err_t code)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
		case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
		case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
		case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
		case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
		case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
		case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
		case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
			return true;
		default:
			return false;
	}
}

static bool
code_fenced(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__FENCED ||
		code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
		code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/*
 * The handle's own state, any thread: MO_KAFKA_OK, or what a fatal error that
 * was raised in the background means.  Code and reason are then set.
 */
MoKafkaStatus
mo_lane_handle_status(rd_kafka_t *rk, rd_kafka_resp_err_t *code,
					  char *reason, size_t size)
{
	rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(rk, reason, size);

	if (fatal == RD_KAFKA_RESP_ERR_NO_ERROR)
		return MO_KAFKA_OK;
	*code = fatal;
	if (code_fenced(fatal))
		return MO_KAFKA_FENCED;
	return mo_lane_code_refused(fatal) ? MO_KAFKA_REFUSED : MO_KAFKA_FATAL;
}

/*
 * What an error that is not to be retried means for its transaction or
 * handle, any thread.
 *
 * Fencing comes first: it is fatal too, but the publisher treats it as a
 * question (who was it?) and not as a fault.  INVALID_PRODUCER_EPOCH counts as
 * fencing only if it is fatal, for an abort may still mend it otherwise.
 */
MoKafkaStatus
mo_lane_judge(rd_kafka_t *rk, const rd_kafka_error_t *error,
			  rd_kafka_resp_err_t *code, char *reason, size_t size)
{
	MoKafkaStatus status = mo_lane_handle_status(rk, code, reason, size);

	if (status != MO_KAFKA_OK)
		return status;

	*code = rd_kafka_error_code(error);
	strlcpy(reason, rd_kafka_error_string(error), size);
	if (*code == RD_KAFKA_RESP_ERR__FENCED)
		return MO_KAFKA_FENCED;
	if (mo_lane_code_refused(*code))
		return MO_KAFKA_REFUSED;
	if (rd_kafka_error_txn_requires_abort(error))
		return MO_KAFKA_ABORT;
	return MO_KAFKA_FATAL;
}

static void
fail_with(MoLane *lane, const rd_kafka_error_t *error)
{
	rd_kafka_resp_err_t code;
	char		reason[200];
	MoKafkaStatus status = mo_lane_judge(lane->rk, error, &code, reason,
										 sizeof(reason));

	mo_lane_fail(lane, status, code, reason);
}

/* ----------------------------------------------------------------
 * The transactional calls
 * ----------------------------------------------------------------
 */

static rd_kafka_error_t *
attempt(MoLane *lane, TransactionalCall call)
{
	pthread_mutex_lock(&lane->lock);
	lane->attempt_since = mo_lane_now();
	pthread_mutex_unlock(&lane->lock);
	return call(lane);
}

/*
 * A call waits as long as the cluster is away.  Of one that answers it may
 * ask for so much patience, in ms; 0: for ever.  Returns whether that is over.
 */
static bool
is_endless(MoLane *lane, int patience, struct timespec *give_up)
{
	struct timespec now = deadline_in(0);

	if (patience == 0)
		return false;
	if (give_up->tv_sec == 0 || !mo_admin_probe(lane->rk))
		*give_up = deadline_in(patience);
	return now.tv_sec > give_up->tv_sec;
}

static void
run_transactional(MoLane *lane, TransactionalCall call, int patience)
{
	struct timespec give_up = {0};
	rd_kafka_error_t *error;

	while ((error = attempt(lane, call)) != NULL)
	{
		bool		again = false;
		bool		retriable = rd_kafka_error_is_retriable(error) &&
			!rd_kafka_error_is_fatal(error) &&
			!rd_kafka_error_txn_requires_abort(error);

		if (retriable && is_endless(lane, patience, &give_up))
			mo_lane_fail(lane, MO_KAFKA_FATAL, RD_KAFKA_RESP_ERR__TIMED_OUT,
						 "the cluster answers, but librdkafka does not come to an end");
		else if (retriable)
			again = mo_lane_retry(lane, rd_kafka_error_string(error),
								  rd_kafka_error_code(error) !=
								  RD_KAFKA_RESP_ERR__TIMED_OUT);
		else
			fail_with(lane, error);
		rd_kafka_error_destroy(error);
		if (!again)
			return;
	}
	mo_lane_succeed(lane);
}

static rd_kafka_error_t *
try_init(MoLane *lane)
{
	return rd_kafka_init_transactions(lane->rk, MO_CALL_TIMEOUT);
}

static rd_kafka_error_t *
try_commit(MoLane *lane)
{
	return rd_kafka_commit_transaction(lane->rk, MO_CALL_TIMEOUT);
}

static rd_kafka_error_t *
try_abort(MoLane *lane)
{
	return rd_kafka_abort_transaction(lane->rk, MO_CALL_TIMEOUT);
}

/*
 * The marker is the committed offset of a group without members: the LSN is
 * the offset, the rest is the offset's metadata.  Generation -1, which this
 * constructor of the group's description implies, is what makes the broker
 * take it for a group without members.
 */
static rd_kafka_error_t *
try_send_marker(MoLane *lane)
{
	rd_kafka_topic_partition_list_t *offsets;
	rd_kafka_topic_partition_t *offset;
	rd_kafka_consumer_group_metadata_t *group;
	rd_kafka_error_t *error;

	offsets = rd_kafka_topic_partition_list_new(1);
	offset = rd_kafka_topic_partition_list_add(offsets, lane->marker_topic, 0);
	offset->offset = (int64) lane->marker_lsn;
	offset->metadata = strdup(lane->marker_metadata);
	offset->metadata_size = offset->metadata ?
		strlen(lane->marker_metadata) : 0;
	group = rd_kafka_consumer_group_metadata_new(lane->group);

	error = rd_kafka_send_offsets_to_transaction(lane->rk, offsets, group,
												 MO_MARKER_TIMEOUT);

	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(offsets);
	return error;
}

void
mo_lane_call_init(MoLane *lane)
{
	run_transactional(lane, try_init, 0);
}

void
mo_lane_call_send_marker(MoLane *lane)
{
	run_transactional(lane, try_send_marker, 0);
	lane->marker_sent = lane->result.status == MO_KAFKA_OK;
}

/* The embedded broker takes markers and forgets them, so we keep its last. */
void
mo_lane_call_commit(MoLane *lane)
{
	run_transactional(lane, try_commit, 0);
	if (lane->embedded && lane->marker_sent &&
		lane->result.status == MO_KAFKA_OK)
		mo_embedded_store_marker(lane->embedded, lane->marker_lsn,
								 lane->marker_metadata);
}

/*
 * librdkafka (2.0) can lose its way when a record's time is up in the middle
 * of an abort, and asks for the same call again and again.  New handles find
 * their way, whatever has become of the transaction.
 */
void
mo_lane_call_abort(MoLane *lane)
{
	run_transactional(lane, try_abort, ABORT_PATIENCE);
}
