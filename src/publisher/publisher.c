/*-------------------------------------------------------------------------
 *
 * publisher.c
 *	  A publisher process: start, main loop, waiting, status.
 *
 * Started by the launcher together with its scribe.  Decodes WAL and talks to
 * Kafka; runs no SQL.  Crash-only: every error ends the process, the launcher
 * starts another pair after a pause, and that one recovers (start.c).
 *
 * One loop drives everything, and nothing in it blocks: WAL is decoded in
 * slices, batches advance when the library or the scribe has answered, and
 * the process sleeps on its latch and the producer's pipe.  A batch is sent
 * as soon as the one before it is delivered, so it holds what has arrived
 * meanwhile: small under light load, large under heavy load, nothing to tune.
 *
 * Waiting also happens inside decoding callbacks, when two batches are in
 * flight and the open one is full, or the scribe or a topic must be waited
 * for; the same function serves there (mo_publisher_wait).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "publisher/publisher.h"
#include "publisher/worker.h"

/* WAL records decoded between two looks at everything else. */
#define SLICE_RECORDS	256

/*
 * Longest sleeps, ms: when all is quiet; when WAL is written of which nobody
 * told us; when WAL of which somebody did waits to be flushed.
 */
#define IDLE_MS			1000
#define FOREIGN_MS		200
#define UNFLUSHED_MS	50

static MoPublisher publisher;

/* ---------------------------------------------------------------------
 * State
 * ---------------------------------------------------------------------
 */

void
mo_publisher_set_state(MoPublisher *pub, MoPublisherState state,
					   const char *error, const char *hint)
{
	MoPublisherSlot *slot = pub->slot;

	if (slot->state == state &&
		strcmp(slot->error, error ? error : slot->error) == 0)
		return;
	/* The words of a trouble may change every moment; the log has the first. */
	if (error != NULL && slot->state != state && state != MO_STATE_STARTING)
		ereport(LOG,
				(errmsg("publisher \"%s\" is %s: %s", pub->hello.name,
						mo_shmem_state_name(state), error),
				 hint ? errhint("%s", hint) : 0));
	mo_shmem_set_state(slot, state, error, hint);
}

/* Shows trouble with the broker, and its end. */
static void
show_trouble(MoPublisher *pub)
{
	MoPublisherState state = pub->slot->state;
	TimestampTz since;
	const char *trouble = mo_producer_trouble(pub->producer, &since);

	if (trouble != NULL &&
		(state == MO_STATE_STREAMING || state == MO_STATE_STARTING ||
		 state == MO_STATE_WAITING_BROKER))
		mo_publisher_set_state(pub, MO_STATE_WAITING_BROKER, trouble,
							   "Publishing goes on by itself when the brokers answer again; WAL is kept until then.");
	else if (trouble == NULL && state == MO_STATE_WAITING_BROKER &&
			 pub->failures == 0)
		mo_publisher_set_state(pub,
							   pub->running ? MO_STATE_STREAMING : MO_STATE_STARTING,
							   NULL, NULL);
}

void
mo_publisher_record(MoPublisher *pub, const char *action, XLogRecPtr from,
					XLogRecPtr to, const char *detail)
{
	StringInfoData body;
	MoPublisherEvent event = {
		.action = (char *) action,
		.from_lsn = from,
		.to_lsn = to,
		.detail = (char *) detail,
	};

	initStringInfo(&body);
	mo_channel_put_event(&body, &event);
	mo_publisher_ask(pub, MO_ASK_EVENT, &body);
	pfree(body.data);
}

void
mo_publisher_need_attention(MoPublisher *pub, const char *what,
							const char *detail, const char *hint,
							XLogRecPtr from, XLogRecPtr to)
{
	StringInfoData body;
	char	   *range = psprintf("%s In doubt: %X/%X to %X/%X.", detail,
								 LSN_FORMAT_ARGS(from), LSN_FORMAT_ARGS(to));
	MoAttention attention = {
		.what = (char *) what,
		.detail = range,
		.hint = (char *) hint,
	};

	pub->running = false;
	mo_publisher_record(pub, psprintf("needs attention: %s", what), from, to,
						detail);
	initStringInfo(&body);
	mo_channel_put_attention(&body, &attention);
	mo_publisher_ask_and_wait(pub, MO_ASK_ATTENTION, &body,
							  &pub->attention_answer);
	MO_FAULT_POINT("needs_attention");
	mo_worker_stop(pub->slot, MO_STATE_NEEDS_ATTENTION,
				   psprintf("%s (%s)", what, range), hint);
	pg_unreachable();
}

void
mo_publisher_back_off(MoPublisher *pub, int delay, const char *why)
{
	SpinLockAcquire(&pub->slot->mutex);
	pub->slot->restart_delay_ms = delay;
	SpinLockRelease(&pub->slot->mutex);
	MO_FAULT_POINT("start_backoff");
	mo_worker_stop(pub->slot, MO_STATE_BACKING_OFF, why, NULL);
	pg_unreachable();
}

/* ---------------------------------------------------------------------
 * The scribe
 * ---------------------------------------------------------------------
 */

void
mo_publisher_ask(MoPublisher *pub, char type, StringInfo body)
{
	mo_channel_send(pub->channel, type, body);
}

void
mo_publisher_ask_and_wait(MoPublisher *pub, char type, StringInfo body,
						  bool *answer)
{
	*answer = false;
	mo_publisher_ask(pub, type, body);
	while (!*answer)
		mo_publisher_wait(pub, IDLE_MS);
	pfree(body->data);
}

static void
take_dead_list(MoPublisher *pub, StringInfo body)
{
	HASHCTL		ctl = {
		.keysize = sizeof(MoDeadKey),
		.entrysize = sizeof(MoDeadKey),
		.hcxt = TopMemoryContext,
	};
	MoDeadList	list;

	mo_channel_get_dead_list(body, &list);
	pub->dead_known = hash_create("mesh_outbox dead letters", 64, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < list.n; i++)
	{
		MoDeadKey	key = {list.letters[i].commit_lsn, list.letters[i].ordinal};

		(void) hash_search(pub->dead_known, &key, HASH_ENTER, NULL);
	}
	pub->dead_lsn = Max(pub->dead_lsn, list.record_lsn);
	pub->dead_list_answer = true;
}

static void
take_dead_letter_done(MoPublisher *pub, StringInfo body)
{
	MoDeadLetterDone done;

	mo_channel_get_dead_letter_done(body, &done);
	pub->dead_done++;
	pub->dead_lsn = Max(pub->dead_lsn, done.record_lsn);
}

static void
take_contract(MoPublisher *pub, StringInfo body)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	mo_channel_get_contract(body, pub->contract_answer);
	pub->contract_answer = NULL;
	MemoryContextSwitchTo(old);
}

static void
take_answer(MoPublisher *pub, char type, StringInfo body)
{
	switch (type)
	{
		case MO_SAY_CONTRACT:
			take_contract(pub, body);
			break;
		case MO_SAY_DEAD_LETTER:
			take_dead_letter_done(pub, body);
			break;
		case MO_SAY_DEAD_LIST:
			take_dead_list(pub, body);
			break;
		case MO_SAY_PROGRESS:
			pub->progress = pub->progress_next;
			pub->progress_record = pq_getmsgint64(body);
			pub->progress_asked = InvalidXLogRecPtr;
			break;
		case MO_SAY_READY:
			pub->ready_answer = true;
			break;
		case MO_SAY_ATTENTION:
			pub->attention_answer = true;
			break;
		default:
			elog(ERROR, "unexpected message type %d from the scribe", type);
	}
}

/* ---------------------------------------------------------------------
 * Waiting
 * ---------------------------------------------------------------------
 */

/* Takes all that has arrived; true if anything had, or a batch moved. */
static bool
serve(MoPublisher *pub)
{
	StringInfoData body;
	char		type;
	bool		any = false;

	CHECK_FOR_INTERRUPTS();
	(void) mo_worker_reload();
	while (mo_channel_try_receive(pub->channel, &type, &body))
	{
		take_answer(pub, type, &body);
		any = true;
	}
	if (pub->producer != NULL)
	{
		any |= mo_producer_service(pub->producer);
		show_trouble(pub);
	}
	return mo_pipeline_advance(pub) || any;
}

/*
 * What wakes us: latch, postmaster, the producer's pipe.  Made once, for with
 * each set come several system calls; the pipe lives as long as the producer.
 */
static WaitEventSet *
wait_set(MoPublisher *pub)
{
	static WaitEventSet *set = NULL;
	static bool with_producer = false;

	if (set == NULL)
	{
		set = mo_compat_wait_event_set(3);
		AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
		AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	}
	if (!with_producer && pub->producer != NULL)
	{
		AddWaitEventToSet(set, WL_SOCKET_READABLE,
						  mo_producer_socket(pub->producer), NULL, NULL);
		with_producer = true;
	}
	return set;
}

void
mo_publisher_wait(MoPublisher *pub, long timeout)
{
	WaitEvent	event;

	if (serve(pub) || timeout == 0)
		return;
	/* A batch that was aborted is begun again by the clock. */
	if (pub->failures > 0)
		timeout = Min(timeout, UNFLUSHED_MS);
	/* Nobody tells us that a standby has flushed a batch's dead letters. */
	if (pub->nflight > 0 && pub->dead_lsn > mo_decode_standby_flushed())
		timeout = Min(timeout, UNFLUSHED_MS);
	if (WaitEventSetWait(wait_set(pub), timeout, &event, 1,
						 PG_WAIT_EXTENSION) > 0 && event.events == WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		pub->awaited = mo_decode_inserted();
	}
	(void) serve(pub);
	/* Waiting inside a decoding callback may be long. */
	if (pub->running && pub->decoder != NULL)
		mo_progress_tick(pub);
}

int64
mo_publisher_ticks(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

void
mo_publisher_wait_until(MoPublisher *pub, long duration)
{
	int64		end = mo_publisher_ticks() + duration;
	int64		left;

	while ((left = end - mo_publisher_ticks()) > 0)
		mo_publisher_wait(pub, left);
}

const MoKafkaError *
mo_publisher_await(MoPublisher *pub, int lane)
{
	while (mo_producer_busy(pub->producer, lane))
		mo_publisher_wait(pub, IDLE_MS);
	return mo_producer_result(pub->producer, lane);
}

/* ---------------------------------------------------------------------
 * Main loop
 * ---------------------------------------------------------------------
 */

/* True when there is more to read at once. */
static bool
decode_slice(MoPublisher *pub)
{
	for (int i = 0; i < SLICE_RECORDS; i++)
		if (!mo_decode_step(pub->decoder))
			return false;
	return true;
}

/* Sends what is open as soon as it can be produced. */
static void
send_open(MoPublisher *pub)
{
	if (pub->open->nevents > 0 && mo_pipeline_is_ready(pub))
		mo_pipeline_submit(pub);
	else if (pub->heartbeats_due > 0 && pub->open->nevents == 0 &&
			 pub->nflight == 0)
	{
		pub->open->last = pub->committed;
		pub->heartbeats_due--;
		mo_pipeline_submit(pub);
	}
}

static bool
is_idle(const MoPublisher *pub)
{
	return pub->nflight == 0 && pub->open->nevents == 0;
}

/* What to show when all readable WAL is decoded. */
static void
show_limit(MoPublisher *pub)
{
	bool		standby = mo_decode_limit(pub->decoder) == MO_LIMIT_STANDBY &&
		is_idle(pub);

	if (standby && pub->slot->state == MO_STATE_STREAMING)
		mo_shmem_set_state(pub->slot, MO_STATE_WAITING_STANDBY,
						   "a synchronous standby has not flushed the newest transactions", NULL);
	else if (!standby && pub->slot->state == MO_STATE_WAITING_STANDBY)
		mo_shmem_set_state(pub->slot, MO_STATE_STREAMING, NULL, NULL);
}

/*
 * Tells committing backends whether to wake us.  Not while no Kafka transaction
 * may begin: what they add goes with the next one all the same, and waking us
 * costs them and us system calls at every commit.  Returns true when we have
 * just begun to listen: who committed before has not woken us, so what there is
 * must be read once more.
 */
static bool
listen_again(MoPublisher *pub)
{
	bool		unhurried = !mo_pipeline_is_ready(pub);

	if (pub->slot->unhurried == unhurried)
		return false;
	pub->slot->unhurried = unhurried;
	if (unhurried)
		return false;
	pg_memory_barrier();		/* as in mo_shmem_wake_publisher() */
	pub->awaited = mo_decode_inserted();
	return true;
}

/*
 * An asynchronous commit wakes us before its WAL is flushed.  Other tables'
 * commits do not, so their WAL is read in larger pieces: it costs less, and an
 * event behind it hardly waits longer.
 */
static long
sleep_time(MoPublisher *pub, bool paused)
{
	XLogRecPtr	here = mo_decode_position(pub->decoder);

	if (paused && is_idle(pub))
		return IDLE_MS;
	if (pub->awaited > here)
		return UNFLUSHED_MS;
	return mo_decode_inserted() > here ? FOREIGN_MS : IDLE_MS;
}

/*
 * The publisher was dropped, or the extension: its position in Kafka is of no
 * use to anybody and goes, too.  Not if somebody else has claimed the stream,
 * a copy of this server or the one that this is a copy of.  The launcher waits
 * a moment before it ends us.
 */
pg_noreturn static void
leave(MoPublisher *pub)
{
	MoMarker	marker;

	if (!pub->embedded && is_idle(pub))
	{
		pub->running = false;
		if (mo_start_read_marker(pub, true, &marker) &&
			strcmp(marker.incarnation, pub->incarnation) == 0)
		{
			const MoKafkaError *result;

			mo_producer_start_forget(pub->producer);
			result = mo_publisher_await(pub, MO_LANE_CONTROL);
			if (result->status == MO_KAFKA_OK)
				ereport(LOG,
						(errmsg("publisher \"%s\" removed its position from Kafka",
								pub->hello.name)));
			else
				ereport(LOG,
						(errmsg("publisher \"%s\" could not remove its position from Kafka: %s",
								pub->hello.name, result->message),
						 errhint("It expires by itself; the group is \"%s\".",
								 pub->hello.marker_group)));
		}
	}
	mo_worker_stop(pub->slot, MO_STATE_STOPPED, "it was dropped", NULL);
	pg_unreachable();
}

static void
stream(MoPublisher *pub)
{
	MemoryContext turn = AllocSetContextCreate(CurrentMemoryContext,
											   "mesh_outbox turn",
											   ALLOCSET_DEFAULT_SIZES);

	pub->awaited = mo_decode_inserted();
	for (;;)
	{
		bool		paused = pub->slot->pause_requested;
		bool		more = false;

		MemoryContextSwitchTo(turn);
		MemoryContextReset(turn);
		mo_publisher_wait(pub, 0);
		if (pub->slot->dropped)
			leave(pub);
		if (paused && is_idle(pub))
			mo_publisher_set_state(pub, MO_STATE_PAUSED, NULL, NULL);
		else if (!paused)
		{
			if (pub->slot->state == MO_STATE_PAUSED)
				mo_publisher_set_state(pub, MO_STATE_STREAMING, NULL, NULL);
			more = decode_slice(pub);
		}
		if (more && mo_pipeline_is_due(pub))
			mo_pipeline_submit(pub);
		else if (!more)
		{
			send_open(pub);
			if (!paused)
			{
				show_limit(pub);
				if (is_idle(pub))
					mo_progress_idle(pub);
			}
		}
		mo_progress_tick(pub);
		if (!more && !listen_again(pub))
			mo_publisher_wait(pub, sleep_time(pub, paused));
	}
}

/* ---------------------------------------------------------------------
 * Start
 * ---------------------------------------------------------------------
 */

static void
receive_hello(MoPublisher *pub)
{
	StringInfoData body;
	char		type;

	mo_channel_receive(pub->channel, &type, &body);
	if (type != MO_SAY_HELLO)
		elog(ERROR, "unexpected first message type %d from the scribe", type);
	mo_channel_get_hello(&body, &pub->hello);
	pub->embedded = strcmp(pub->hello.brokers, "embedded") == 0;
}

/* Library threads must be gone before exit handlers of other libraries run. */
static void
destroy_producer(int code, Datum arg)
{
	MoPublisher *pub = (MoPublisher *) DatumGetPointer(arg);
	MoProducer *producer = pub->producer;

	pub->producer = NULL;
	if (producer != NULL)
		mo_producer_destroy(producer);
}

static void
create_producer(MoPublisher *pub)
{
	MoProducerConfig config = {
		.brokers = pub->hello.brokers,
		.options = pub->hello.options,
		.transactional_id = pub->hello.marker_group,
		.group = pub->hello.marker_group,
		.marker_topic = MO_MARKER_TOPIC,
		.client_id = psprintf("mesh_outbox %s", pub->hello.name),
	};

	before_shmem_exit(destroy_producer, PointerGetDatum(pub));
	pub->producer = mo_producer_create(&config);
	SpinLockAcquire(&pub->slot->mutex);
	strlcpy(pub->slot->brokers, mo_producer_bootstrap(pub->producer),
			sizeof(pub->slot->brokers));
	SpinLockRelease(&pub->slot->mutex);
}

/* Errors that come again at every try until somebody changes a setting. */
static bool
is_misconfiguration(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_INVALID_PARAMETER_VALUE ||
		sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE ||
		sqlerrcode == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED ||
		sqlerrcode == ERRCODE_FEATURE_NOT_SUPPORTED;
}

/* Everything up to the first decoded event. */
static void
start(MoPublisher *pub)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		create_producer(pub);
		mo_start(pub);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (!is_misconfiguration(geterrcode()))
			PG_RE_THROW();
		pub->slot->wants_slot = geterrcode() == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		mo_worker_stop(pub->slot, MO_STATE_MISCONFIGURED,
					   error->detail ? psprintf("%s (%s)", error->message, error->detail) :
					   error->message,
					   error->hint);
	}
	PG_END_TRY();
}

static void
publish(int slot_index)
{
	MoPublisher *pub = &publisher;

	pub->slot = &mo_shared->slots[slot_index];
	MemoryContextSwitchTo(AllocSetContextCreate(TopMemoryContext,
												"mesh_outbox publisher",
												ALLOCSET_DEFAULT_SIZES));
	mo_shmem_set_state(pub->slot, MO_STATE_STARTING, NULL, NULL);
	mo_stream_init(pub);
	pub->channel = mo_channel_create(slot_index);
	receive_hello(pub);
	pgstat_report_activity(STATE_RUNNING, pub->hello.name);
	start(pub);
	stream(pub);
}

void
mesh_outbox_publisher_main(Datum slot_index)
{
	mo_worker_run(slot_index, MO_SEAT_PUBLISHER, publish);
}
