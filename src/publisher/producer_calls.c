/*-------------------------------------------------------------------------
 *
 * producer_calls.c
 *	  The producer's main thread side: handing it calls and records.
 *
 * Called by the publisher.  A call only starts here; its lane's thread makes
 * it.  Records go to librdkafka at once.
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

#include "utils/timestamp.h"

#include "publisher/producer_internal.h"

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
		if (producer->undelivered[lane]++ == 0)
			producer->reported_at[lane] = GetCurrentTimestamp();
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

void
mo_producer_start_forget(MoProducer *producer)
{
	mo_lane_submit(producer->lanes[MO_LANE_CONTROL], mo_admin_call_forget,
				   "removing the marker");
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

int64
mo_producer_batch_limit(MoProducer *producer)
{
	char		value[32];
	size_t		length = sizeof(value);

	return rd_kafka_conf_get(producer->conf, "batch.size", value, &length) == RD_KAFKA_CONF_OK ?
		strtoll(value, NULL, 10) : PG_INT64_MAX;
}

void
mo_producer_limit_batches(MoProducer *producer, int64 size)
{
	char		value[32];

	snprintf(value, sizeof(value), INT64_FORMAT, size);
	(void) rd_kafka_conf_set(producer->conf, "batch.size", value, NULL, 0);
}

void
mo_producer_start_log_ends(MoProducer *producer, MoLogEnd *ends, int n)
{
	MoLane	   *lane = producer->lanes[MO_LANE_CONTROL];

	lane->log_ends = ends;
	lane->nlog_ends = n;
	mo_lane_submit(lane, mo_admin_call_log_ends, "asking where topics end");
}
