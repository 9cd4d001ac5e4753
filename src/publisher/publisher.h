/*-------------------------------------------------------------------------
 *
 * publisher.h
 *	  State of a publisher process, shared by the files that make it up.
 *
 *	  publisher.c	process start, main loop, waiting, status
 *	  start.c		recovery: from nothing to owning the stream
 *	  judge.c		may this server go on from that marker?
 *	  resume.c		going on where a person said
 *	  routes.c		contract id -> topic, partitions, headers
 *	  envelope.c	row -> event, event -> record and headers
 *	  stream.c		decoded transactions -> batches
 *	  pipeline.c	batches -> Kafka transactions, two in turn
 *	  recover.c		after aborts and fencing, in place
 *	  progress.c	progress, slot, ledger, heartbeat
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_PUBLISHER_H
#define MO_PUBLISHER_H

#include "compat.h"
#include "publisher/batch.h"
#include "publisher/channel.h"
#include "publisher/decode.h"
#include "publisher/marker.h"
#include "publisher/producer.h"
#include "shmem.h"

struct HTAB;

#define MO_MARKER_TOPIC "mesh_outbox.markers"

/* What the wire needs of a contract; lives as long as the process. */
typedef struct MoRoute
{
	int64		contract_id;	/* hash key */
	bool		loaded;
	MoContractInfo info;
	MoTopic    *topic;			/* NULL: the topic cannot be used */
	const char *reason;			/* why: a word, … */
	char	   *refusal;		/* … and a sentence */
	int64		look_at;		/* ticks; whether it can, is asked again then */
} MoRoute;

/* Key of MoPublisher.dead_known. */
typedef struct MoDeadKey
{
	XLogRecPtr	commit_lsn;
	int64		ordinal;
} MoDeadKey;

/* What is being decoded, in which mood. */
typedef enum MoStreamMode
{
	MO_STREAM_VERIFY,			/* up to the marker: compare, skip */
	MO_STREAM_RUN				/* past it: publish */
} MoStreamMode;

/* Events published since the last ledger row. */
typedef struct MoLedgerSpan
{
	MoLedgerEntry entry;		/* offsets and incarnation filled when sent */
	struct HTAB *offsets;		/* (topic, partition) → first, last, events */
	TimestampTz sent_at;
} MoLedgerSpan;

typedef struct MoPublisher
{
	MoPublisherSlot *slot;
	MoHello		hello;
	MoChannel  *channel;
	MoProducer *producer;
	MoDecoder  *decoder;
	MoDecodeSink sink;
	bool		embedded;		/* the broker forgets with this process */
	bool		running;		/* owns the stream: the pipeline moves */

	/* who we are */
	MoHistory	history;
	char		incarnation[MO_INCARNATION_SIZE];
	char		owner[MO_INCARNATION_SIZE]; /* O: read before our claim */

	/* where we are */
	MoStreamMode mode;
	MoPosition	committed;		/* M */
	XLogRecPtr	dead_lsn;		/* R */
	MoPosition	resume;			/* M when the stream was taken over: skipped up
								 * to here */
	XLogRecPtr	awaited;		/* WAL up to here may hold what woke us */
	XLogRecPtr	start_lsn;		/* older transactions are not replayed */
	XLogRecPtr	slot_start;		/* S at the start */
	bool		marker_found;	/* by step 1, or our claim is in Kafka */
	MoPosition	marker_read;
	bool		verified;		/* the transaction at M was seen and is M's */
	bool		mismatch;		/* it was seen and is not */

	/* the transaction being replayed */
	bool		txn_skipped;	/* at or below M, as a whole */
	int64		skip_ordinal;	/* rows of it up to here are below M */
	int32		part;			/* parts of it closed so far */
	MoRoute    *last_route;		/* of its last row, for a closing record */
	const MoTransaction *txn_here;	/* its copy in the open batch, or NULL */

	/* batches */
	MoBatch    *open;			/* being filled; never NULL */
	MoBatch    *spare[2];
	MoBatch    *flight[2];		/* oldest first */
	int			nflight;
	int			last_lane;
	int			failures;		/* aborts in a row */
	int64		retry_at;		/* ticks; nothing is begun before */

	/* dead letters */
	struct HTAB *dead_known;	/* (commit LSN, ordinal) recorded before */
	uint64		dead_asked;		/* requests sent and answered */
	uint64		dead_done;

	/* progress */
	MoProgress	progress;		/* P, durable here */
	XLogRecPtr	progress_record;	/* end of its WAL record */
	XLogRecPtr	progress_asked; /* 0 = none under way */
	MoProgress	progress_next;	/* what was asked for */
	TimestampTz progress_at;
	TimestampTz heartbeat_at;	/* of the last Kafka transaction */
	int			heartbeats_due;
	MoLedgerSpan ledger;
	XLogRecPtr	wal_warned_at;	/* retained bytes at the last warning */

	/* answers of the scribe awaited by somebody */
	MoContractInfo *contract_answer;
	bool		attention_answer;
	bool		dead_list_answer;
	bool		ready_answer;
} MoPublisher;

/* publisher.c */
extern PGDLLEXPORT void mesh_outbox_publisher_main(Datum slot_index);

/*
 * Serves everything that has arrived, then waits for more, at most "timeout"
 * ms (0: does not wait).  Serves interrupts; may raise an error.
 */
extern void mo_publisher_wait(MoPublisher *pub, long timeout);

/* Time in ms that goes on evenly when somebody sets the clock. */
extern int64 mo_publisher_ticks(void);

/* Serves what arrives for the whole of "duration" ms. */
extern void mo_publisher_wait_until(MoPublisher *pub, long duration);

/* Waits for a call of the producer's lane to end. */
extern const MoKafkaError *mo_publisher_await(MoPublisher *pub, int lane);

/* Asks the scribe; the answer comes while the publisher waits for something. */
extern void mo_publisher_ask(MoPublisher *pub, char type, StringInfo body);

/* Asks, waits until the answer has set "answer", and frees the body. */
extern void mo_publisher_ask_and_wait(MoPublisher *pub, char type,
									  StringInfo body, bool *answer);

/* Has the scribe record what happened to a range of WAL. */
extern void mo_publisher_record(MoPublisher *pub, const char *action,
								XLogRecPtr from, XLogRecPtr to,
								const char *detail);
extern void mo_publisher_set_state(MoPublisher *pub, MoPublisherState state,
								   const char *error, const char *hint);

/*
 * A person must decide: records it durably, shows it, ends the process.  The
 * launcher starts no other pair until somebody did.
 */
pg_noreturn extern void mo_publisher_need_attention(MoPublisher *pub,
													const char *what,
													const char *detail,
													const char *hint,
													XLogRecPtr from,
													XLogRecPtr to);

/* Ends the process; the next pair comes after "delay" ms. */
pg_noreturn extern void mo_publisher_back_off(MoPublisher *pub, int delay,
											  const char *why);

/* start.c */

/* Everything up to owning the stream, or up to decoding the marker. */
extern void mo_start(MoPublisher *pub);

/* Steps 3 and 4: fence, look again, claim.  Sets mode and "running". */
extern void mo_start_own(MoPublisher *pub);

/* init_transactions on every id. */
extern void mo_start_fence(MoPublisher *pub);

/* A new incarnation, claimed with the position "committed". */
extern void mo_start_claim(MoPublisher *pub, XLogRecPtr relies_on);

/* False when there is none. */
extern bool mo_start_read_marker(MoPublisher *pub, bool committed,
								 MoMarker *marker);

/* Step 5 when the marker (NULL: none) is not ours. */
pg_noreturn extern void mo_start_fenced(MoPublisher *pub,
										const MoMarker *marker);

/* judge.c: each returns, or ends the process in need of attention */
#define MO_HINT_DECIDE \
	"Decide where to go on: mesh_outbox.resume_publisher(name, start_from => 'marker' | 'ledger' | 'now', reason => ...)."

/* What may be concluded from a read of any isolation. */
extern void mo_judge_history(MoPublisher *pub, const MoMarker *m);

/* At the marker's place stands another transaction. */
extern void mo_judge_mismatch(MoPublisher *pub);

/* The marker behind P must be the one that P was written against. */
extern void mo_judge_progress(MoPublisher *pub);

/* The slot, and the ledger, against the newest marker. */
extern void mo_judge_position(MoPublisher *pub, XLogRecPtr slot);

/* The topics' ends against the ledger. */
extern void mo_judge_topics(MoPublisher *pub);

/* resume.c */

/* Has a person decided where to go on? */
extern bool mo_resume_chosen(const MoPublisher *pub);

/* Does that decision need a position that no transaction has? */
extern bool mo_resume_makes_position(const MoPublisher *pub, bool found,
									 const MoMarker *m);

/* Records the decision durably and sets the position. */
extern void mo_resume_take_position(MoPublisher *pub, bool found,
									const MoMarker *m, XLogRecPtr slot);

/* routes.c */

/*
 * The route of a contract; NULL when there is no such contract.  May wait for
 * the scribe and for Kafka.
 */
extern MoRoute *mo_route_find(MoPublisher *pub, int64 contract_id);

/* envelope.c */
#define MO_MAX_HEADERS 64
typedef struct MoHeaderSpace
{
	char		id[40];
	char		time[40];
	char		recorded[40];
	char		sequence[48];
	char		part[16];
} MoHeaderSpace;

extern void mo_envelope_encode(MoBatch *batch, const MoRoute *route,
							   const MoTransaction *txn, const MoRow *row);
extern void mo_envelope_close(MoBatch *batch, const MoRoute *route,
							  const MoTransaction *txn, int64 ordinal,
							  int32 part);

/* For dead letters: text of the event's id (NULL if none), its own headers. */
extern char *mo_envelope_event_id(const MoEvent *event, char *out);
extern char *mo_envelope_extra_json(const MoEvent *event);
extern int	mo_envelope_headers(const MoEvent *event, MoHeaderSpace *space,
								MoHeader *headers);

/* stream.c */
extern void mo_stream_init(MoPublisher *pub);

/* pipeline.c */
/* Moves every batch in flight as far as it goes without waiting; did any? */
extern bool mo_pipeline_advance(MoPublisher *pub);
extern bool mo_pipeline_is_ready(MoPublisher *pub);
extern bool mo_pipeline_is_due(MoPublisher *pub);

/* Puts the open batch in flight; waits for room. */
extern void mo_pipeline_submit(MoPublisher *pub);

/* The broker will never take this event: it becomes a dead letter. */
extern void mo_pipeline_kill_event(MoPublisher *pub, MoBatch *batch,
								   MoEvent *event, const char *reason,
								   const char *detail);

/* As if no record of it had been produced. */
extern void mo_pipeline_reset_records(MoBatch *batch);

/* recover.c */

/*
 * Somebody else owns an id, or a handle is dead: new handles and a new claim
 * if the marker is still ours, else the end of the process.  Rebuilds the
 * batches in flight.
 */
extern void mo_recover(MoPublisher *pub);

/* The batch's abort is done: judges its records, has it begun again later. */
extern void mo_recover_aborted(MoPublisher *pub, MoBatch *batch);

/* New handles, which make no message sets larger than that; waits. */
extern void mo_recover_limit_batches(MoPublisher *pub, int64 limit);

/* progress.c */
extern void mo_progress_committed(MoPublisher *pub, MoBatch *batch);

/* Has the scribe write P; progress_asked is zero again once it is durable. */
extern void mo_progress_ask(MoPublisher *pub, XLogRecPtr lsn);
extern void mo_progress_idle(MoPublisher *pub);
extern void mo_progress_tick(MoPublisher *pub);
extern void mo_progress_publish_status(MoPublisher *pub);

#endif							/* MO_PUBLISHER_H */
