/*-------------------------------------------------------------------------
 *
 * producer.h
 *	  One Kafka cluster as a publisher sees it: transactional ids that
 *	  take turns, and a control lane for everything else.
 *
 * Nothing here blocks.  librdkafka's transactional calls do, so each lane has
 * a thread of its own that makes them, one at a time and in order; the
 * publisher starts a call, goes on, and is woken through a pipe when it has
 * ended.  The threads call librdkafka and nothing of PostgreSQL; all signals
 * are blocked in them.
 *
 * A call that meets a retriable error (broker away, coordinator loading) is
 * repeated by the thread, with the same arguments, until it succeeds, meets
 * an error of another class, or the producer is destroyed;
 * mo_producer_trouble() tells meanwhile what it waits for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_PRODUCER_H
#define MO_PRODUCER_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

typedef struct MoProducer MoProducer;
typedef struct MoTopic MoTopic; /* lives as long as its producer */

/*
 * Lanes: one for each transactional id, and one more.  An id that has just
 * committed answers CONCURRENT_TRANSACTIONS until its markers are in all the
 * logs, and librdkafka then pauses for 20 ms (2.0.2: 100 ms); with four in
 * turn that is over before its turn comes again.
 */
#define MO_TRANSACTIONAL_LANES 4
#define MO_LANE_CONTROL MO_TRANSACTIONAL_LANES

typedef enum MoKafkaStatus
{
	MO_KAFKA_OK,
	MO_KAFKA_ABORT,				/* this transaction must be aborted */
	MO_KAFKA_FENCED,			/* another producer owns the id, or the
								 * coordinator timed the transaction out */
	MO_KAFKA_FATAL,				/* the handle is dead: mo_producer_reset() */
	MO_KAFKA_REFUSED			/* never, until somebody changes something:
								 * authorization, invalid topic, … */
} MoKafkaStatus;

typedef struct MoKafkaError
{
	MoKafkaStatus status;
	int			code;			/* rd_kafka_resp_err_t */
	char		message[256];
} MoKafkaError;

typedef struct MoProducerConfig
{
	const char *brokers;		/* "embedded" starts librdkafka's own */
	const char *options;		/* JSON object of librdkafka properties */
	const char *transactional_id;	/* prefix; "-0", "-1", ... are appended */
	const char *group;			/* the marker's group */
	const char *marker_topic;	/* the marker's topic, partition 0 */
	const char *client_id;
} MoProducerConfig;

typedef struct MoTopicSpec
{
	const char *name;
	int			partitions;
	int			replication;	/* 0 = broker's default */
	const char *config;			/* JSON object of topic settings */
} MoTopicSpec;

typedef struct MoHeader
{
	const char *name;
	const void *value;
	int			length;
} MoHeader;

/*
 * One record.  It and what it points to belong to the caller and must stay
 * until it is delivered or its transaction aborted (nothing is copied).
 * "offset" and "error" are written by mo_producer_service().
 */
typedef struct MoRecord
{
	MoTopic    *topic;
	int32		partition;
	int32		key_length;
	const void *key;			/* NULL = no key */
	const void *value;
	int64		value_length;
	int64		offset;			/* -1 until delivered */
	int			error;			/* rd_kafka_resp_err_t, 0 = delivered */
} MoRecord;

typedef enum MoProduceResult
{
	MO_PRODUCE_OK,
	MO_PRODUCE_FULL,			/* local queue full: service, then again */
	MO_PRODUCE_REFUSED,			/* this record can never be sent: error says
								 * why; the transaction is unharmed */
	MO_PRODUCE_FAILED			/* the handle or transaction is broken */
} MoProduceResult;

/*
 * Checks options without connecting; an unknown property, a bad value or a
 * property that is ours to set is an error (ERRCODE_INVALID_PARAMETER_VALUE)
 * that lists what is allowed.  Also used by create_publisher.
 */
extern void mo_producer_check_options(const char *brokers,
									  const char *options);

/*
 * Raises an error when the configuration is refused.  Exactly one producer
 * per process; it is destroyed by mo_producer_destroy() on every path out of
 * the process, FATAL included (the owner registers before_shmem_exit).
 */
extern MoProducer *mo_producer_create(const MoProducerConfig *config);

/* Bounded: about a second at most, also with the broker gone. */
extern void mo_producer_destroy(MoProducer *producer);

/*
 * New handles for all transactional ids, after FENCED or FATAL.  Records
 * still undelivered are forgotten; an embedded broker keeps what it has.
 */
extern void mo_producer_reset(MoProducer *producer);

/* Bootstrap address for clients; of the embedded broker too. */
extern const char *mo_producer_bootstrap(MoProducer *producer);

/* Readable when mo_producer_service() has something to do. */
extern int	mo_producer_socket(MoProducer *producer);

/*
 * Takes delivery reports, errors, log lines and ended calls; never blocks.
 * Returns whether the socket was readable.
 */
extern bool mo_producer_service(MoProducer *producer);

/*
 * What is wrong with the cluster now: NULL when nothing is known to be.
 * "since" is when it began.
 */
extern const char *mo_producer_trouble(MoProducer *producer,
									   TimestampTz *since);

/* Is a call running on the lane? */
extern bool mo_producer_busy(MoProducer *producer, int lane);

/* How the lane's last call ended. */
extern const MoKafkaError *mo_producer_result(MoProducer *producer, int lane);

/* Calls of the transactional lanes. */
extern void mo_producer_start_init(MoProducer *producer, int lane);
extern void mo_producer_start_send_marker(MoProducer *producer, int lane,
										  XLogRecPtr lsn,
										  const char *metadata);
extern void mo_producer_start_commit(MoProducer *producer, int lane);
extern void mo_producer_start_abort(MoProducer *producer, int lane);

/* Local and immediate. */
extern bool mo_producer_begin(MoProducer *producer, int lane,
							  MoKafkaError *error);
extern MoProduceResult mo_producer_produce(MoProducer *producer, int lane,
										   MoRecord *record,
										   const MoHeader *headers,
										   int nheaders,
										   MoKafkaError *error);

/*
 * What a record's error means.  Everything but a permanent refusal of this
 * very record is to be repeated in a new transaction.
 */
typedef enum MoRecordVerdict
{
	MO_RECORD_REPEAT,			/* not this record's fault */
	MO_RECORD_REFUSED,			/* too large, invalid: a dead letter */
	MO_RECORD_NO_TOPIC			/* unknown topic or no right to write it */
} MoRecordVerdict;

extern MoRecordVerdict mo_producer_record_verdict(int error);

/*
 * What ensure_topic's error means: does it heal, by itself or when a person
 * grants a right; does the broker refuse these settings, now and, unless it
 * is configured otherwise, for ever; or is there no such name?
 */
typedef enum MoTopicVerdict
{
	MO_TOPIC_WAIT,
	MO_TOPIC_REFUSED,
	MO_TOPIC_IMPOSSIBLE
} MoTopicVerdict;

extern MoTopicVerdict mo_producer_topic_verdict(const MoKafkaError *error);

extern const char *mo_producer_error_text(int error);

/* Was the record, or the message set that it was in, too large? */
extern bool mo_producer_is_size(int error);

/* A word for programs: "too_large" or "refused". */
extern const char *mo_producer_refusal(int error);

/*
 * Is the open transaction lost, and why?  Records do not always say: when
 * the broker refuses a topic or the id as such, they only report that they
 * were purged.  The lane must not be busy.
 */
extern bool mo_producer_doomed(MoProducer *producer, int lane,
							   MoKafkaError *error);

/* Records of the lane's transaction not yet reported; how many failed. */
extern int64 mo_producer_undelivered(MoProducer *producer, int lane);
extern int64 mo_producer_failed(MoProducer *producer, int lane);

/* The topic of that name; does not connect. */
extern MoTopic *mo_producer_topic(MoProducer *producer, const char *name);

/*
 * Calls of the control lane.
 *
 * read_marker: read-committed when "committed", else read-uncommitted.  An
 * unknown group, no offset and an unknown topic are "not found", not errors.
 *
 * forget: removes the marker's group; tried once.
 *
 * ensure_topic: creates the topic if it does not exist; the result carries
 * the number of partitions it has and its topic id ("" when the library
 * cannot tell).  No right to create it, or to see it, is MO_KAFKA_REFUSED.
 *
 * log_ends: where the logs of some partitions end, open transactions included.
 * No right to see one of them is MO_KAFKA_REFUSED.
 */
extern void mo_producer_start_read_marker(MoProducer *producer,
										  bool committed);
extern bool mo_producer_marker(MoProducer *producer, XLogRecPtr *lsn,
							   const char **metadata);
extern void mo_producer_start_forget(MoProducer *producer);
extern void mo_producer_start_ensure_topic(MoProducer *producer,
										   const MoTopicSpec *spec);
extern int	mo_producer_topic_partitions(MoProducer *producer,
										 char *topic_id, int size);

/* The topic's max.message.bytes; 0 when the broker did not tell. */
extern int64 mo_producer_topic_limit(MoProducer *producer);

/*
 * The largest message set of several records; a larger record makes one of its
 * own.  Another limit holds from the next mo_producer_reset() on.
 */
extern int64 mo_producer_batch_limit(MoProducer *producer);
extern void mo_producer_limit_batches(MoProducer *producer, int64 size);

typedef struct MoLogEnd
{
	const char *topic;
	int32		partition;
	int64		end;			/* out; 0 if there is no such partition */
} MoLogEnd;

/* The array belongs to the call until that has ended. */
extern void mo_producer_start_log_ends(MoProducer *producer, MoLogEnd *ends,
									   int n);

/* Java's default partitioner: murmur2 of the key, positive, modulo. */
extern int32 mo_producer_partition(const void *key, int length,
								   int partitions);

/* Version of the library in use, as 0xMMmmrrxx, and why it is unfit or NULL. */
extern int	mo_producer_library_version(const char **version,
										const char **unfit);

#endif							/* MO_PRODUCER_H */
