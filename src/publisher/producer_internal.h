/*-------------------------------------------------------------------------
 *
 * producer_internal.h
 *	  What the producer*.c files share; nobody else includes it.
 *
 * Two worlds meet here.  producer.c, producer_calls.c, producer_events.c,
 * producer_config.c and producer_options.c run in the process's main thread
 * and may use PostgreSQL.  producer_lane.c, producer_admin.c,
 * producer_embedded.c and producer_socket.c run in other threads too and must
 * not: no palloc, no ereport, no elog, no interrupt, no global of the server.
 * What both touch is in MoLane and guarded by its locks.
 *
 * A lane is a thread with a librdkafka handle of its own: one for each
 * transactional id, and the control lane, which has a plain producer's handle
 * for metadata and admin requests.  A lane runs one call at a time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_PRODUCER_INTERNAL_H
#define MO_PRODUCER_INTERNAL_H

#include <pthread.h>
#include <librdkafka/rdkafka.h>

#include "publisher/producer.h"

#if RD_KAFKA_VERSION < 0x020002ff
#error "mesh_outbox needs librdkafka 2.0.2 or newer"
#endif

#define MO_LANES			(MO_TRANSACTIONAL_LANES + 1)

/*
 * How long one librdkafka call may block a lane, in ms, so that the lane can
 * end soon.  send_offsets does not keep to it (producer_socket.c), and has
 * more: when its time is up, librdkafka takes a group coordinator that is
 * just moving for an error that costs the transaction.
 */
#define MO_CALL_TIMEOUT		300
#define MO_MARKER_TIMEOUT	2000

/* A pause before an attempt that failed at once is repeated, in ms. */
#define MO_RETRY_PAUSE		100

/* So many connections of a handle can be cut; one per broker, and two. */
#define MO_SOCKETS			128

/* Kafka's own limits: a topic's name, a committed offset's metadata. */
#define MO_TOPIC_NAME_MAX	249
#define MO_METADATA_MAX		4096

typedef struct MoLane MoLane;
typedef struct MoEmbedded MoEmbedded;

/* A call, as the lane's thread runs it; it fills lane->result. */
typedef void (*MoCall) (MoLane *lane);

struct MoLane
{
	/* Set before the thread starts, constant while it lives. */
	int			number;
	int			wake_fd;		/* write end of the producer's pipe */
	rd_kafka_t *rk;				/* destroyed by the thread when it ends */
	const rd_kafka_conf_t *conf;	/* what all handles share */
	const char *group;
	const char *marker_topic;
	MoEmbedded *embedded;		/* NULL: a real cluster */

	pthread_t	thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;

	/* Guarded by lock. */
	bool		stop;			/* main → thread: end soon */
	bool		ended;			/* thread → main: the handle is destroyed */
	MoCall		call;			/* the call that waits or runs, or NULL */
	bool		probe;			/* ask now and then whether the cluster is
								 * back (control lane only) */
	TimestampTz last_success;	/* of a call or a probe */
	TimestampTz call_since;		/* start of the call */
	TimestampTz attempt_since;	/* start of its latest attempt */
	char		trouble[256];	/* why it was repeated last, or "" */

	/* Guarded by sockets_lock; the transactional lanes' only. */
	pthread_mutex_t sockets_lock;
	int			nsockets;
	int			sockets[MO_SOCKETS];

	/*
	 * Arguments and results of the call.  The main thread touches them only
	 * while no call waits or runs, the lane's thread only while one does;
	 * the lock's hand-over orders the two.
	 */
	const char *call_name;
	MoKafkaError result;

	XLogRecPtr	marker_lsn;		/* send_marker in, read_marker out */
	char		marker_metadata[MO_METADATA_MAX + 1];
	bool		marker_sent;		/* it is in the open transaction */
	bool		marker_found;
	bool		marker_committed;	/* isolation of the read */

	char		topic[MO_TOPIC_NAME_MAX + 1];
	rd_kafka_NewTopic_t *new_topic;
	int			partitions_wanted;
	int			partitions;
	char		topic_id[64];
	int64		topic_limit;	/* max.message.bytes, 0 = not told */
	MoLogEnd   *log_ends;
	int			nlog_ends;
};

struct MoTopic
{
	MoTopic    *next;
	rd_kafka_topic_t *rkt[MO_TRANSACTIONAL_LANES];
	char		name[FLEXIBLE_ARRAY_MEMBER];
};

/* Only the main thread looks into it. */
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
	TimestampTz reported_at[MO_TRANSACTIONAL_LANES];	/* or when the first
														 * was produced */
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

/* producer_config.c: main thread.  The configurations belong to the caller. */
extern rd_kafka_conf_t *mo_producer_conf(const MoProducerConfig *config);
extern void mo_producer_set_bootstrap(rd_kafka_conf_t *conf,
									  const char *bootstrap);
extern rd_kafka_conf_t *mo_producer_transactional_conf(const rd_kafka_conf_t *base,
													   const char *prefix,
													   int lane);
extern bool mo_producer_is_embedded(const char *brokers);

/* producer_options.c: main thread. */
extern bool mo_producer_topic_settings(rd_kafka_NewTopic_t *new_topic,
									   const char *config);

/* producer_lane.c: any thread. */
extern MoLane *mo_lane_create(void);
extern void mo_lane_free(MoLane *lane);
extern bool mo_lane_start(MoLane *lane);
extern void mo_lane_stop(MoLane *lane);
extern bool mo_lane_join(MoLane *lane, int timeout_ms);
extern bool mo_lane_stopping(MoLane *lane);
extern void mo_lane_submit(MoLane *lane, MoCall call, const char *name);
extern bool mo_lane_busy(MoLane *lane);
extern void mo_lane_probe(MoLane *lane);
extern bool mo_lane_unstick(MoLane *lane, TimestampTz before);
extern TimestampTz mo_lane_now(void);

/* producer_lane.c: the lane's thread, inside a call. */
extern bool mo_lane_retry(MoLane *lane, const char *reason, bool pause);
extern void mo_lane_succeed(MoLane *lane);
extern void mo_lane_fail(MoLane *lane, MoKafkaStatus status,
						 rd_kafka_resp_err_t code, const char *reason);
extern MoKafkaStatus mo_lane_handle_status(rd_kafka_t *rk,
										   rd_kafka_resp_err_t *code,
										   char *reason, size_t size);
extern MoKafkaStatus mo_lane_judge(rd_kafka_t *rk,
								   const rd_kafka_error_t *error,
								   rd_kafka_resp_err_t *code,
								   char *reason, size_t size);
extern bool mo_lane_code_refused(rd_kafka_resp_err_t code);

/* producer_lane.c, producer_admin.c: the calls. */
extern void mo_lane_call_init(MoLane *lane);
extern void mo_lane_call_send_marker(MoLane *lane);
extern void mo_lane_call_commit(MoLane *lane);
extern void mo_lane_call_abort(MoLane *lane);
extern void mo_admin_call_read_marker(MoLane *lane);
extern void mo_admin_call_forget(MoLane *lane);
extern void mo_admin_call_ensure_topic(MoLane *lane);
extern void mo_admin_call_log_ends(MoLane *lane);
extern bool mo_admin_probe(rd_kafka_t *rk);

/* producer_socket.c. */
extern void mo_socket_watch(rd_kafka_conf_t *conf, MoLane *lane);
extern void mo_socket_cut(MoLane *lane);

/* producer_embedded.c: any thread. */
extern MoEmbedded *mo_embedded_start(rd_kafka_conf_t *conf, char *reason,
									 size_t size);
extern void mo_embedded_stop(MoEmbedded *embedded);
extern rd_kafka_t *mo_embedded_handle(MoEmbedded *embedded);
extern const char *mo_embedded_bootstrap(MoEmbedded *embedded);
extern void mo_embedded_create_topic(MoEmbedded *embedded, const char *topic,
									 int partitions);
extern void mo_embedded_store_marker(MoEmbedded *embedded, XLogRecPtr lsn,
									 const char *metadata);
extern bool mo_embedded_fetch_marker(MoEmbedded *embedded, XLogRecPtr *lsn,
									 char *metadata);

#endif							/* MO_PRODUCER_INTERNAL_H */
