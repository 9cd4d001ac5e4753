/*-------------------------------------------------------------------------
 *
 * producer_admin.c
 *	  The calls of the control lane: reading and removing the marker, making
 *	  sure that a topic exists, ends of logs.
 *
 * Runs in the control lane's thread, started by producer.c; the rules of
 * producer_lane.c hold: nothing of PostgreSQL is called.
 *
 * The control lane's handle is a plain producer that produces nothing.  The
 * marker is read with a consumer, made for the one reading, since isolation
 * is a consumer's property; it asks for an offset and joins nothing, for the
 * marker's group must stay without members.  The admin request for a group's
 * offsets would do too, but up to librdkafka 2.0 at least it brings the
 * process down, and with it the server, when the coordinator has moved or
 * just starts: on a handle that is no consumer the answer's handler follows a
 * null pointer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "publisher/producer_internal.h"

/* The most an admin request may take on its own, in ms. */
#define ADMIN_TIMEOUT		3000

/* How often a waiting admin request looks whether the lane is to end. */
#define ADMIN_POLL			100

typedef struct AdminRequest
{
	rd_kafka_AdminOptions_t *options;
	rd_kafka_queue_t *queue;	/* where the answer comes */
} AdminRequest;

/* ----------------------------------------------------------------
 * Requests and their errors
 * ----------------------------------------------------------------
 */

static void
request_open(AdminRequest *request, rd_kafka_t *rk, rd_kafka_admin_op_t op)
{
	char		ignored[128];

	request->queue = rd_kafka_queue_new(rk);
	request->options = rd_kafka_AdminOptions_new(rk, op);
	(void) rd_kafka_AdminOptions_set_request_timeout(request->options,
													 ADMIN_TIMEOUT,
													 ignored, sizeof(ignored));
}

static void
request_close(AdminRequest *request)
{
	rd_kafka_AdminOptions_destroy(request->options);
	rd_kafka_queue_destroy(request->queue);
}

/*
 * The answer, or NULL if the lane is to end.  A request that is given up is
 * ended by the library when the handle is destroyed.
 */
static rd_kafka_event_t *
request_wait(MoLane *lane, AdminRequest *request)
{
	rd_kafka_event_t *event = NULL;

	while (event == NULL && !mo_lane_stopping(lane))
		event = rd_kafka_queue_poll(request->queue, ADMIN_POLL);
	return event;
}

/*
 * What goes away by itself.  An error that is neither here nor among the
 * refused ones is repeated too: in the control lane nothing is at stake but
 * time, and mo_producer_trouble() shows it.
 */
static bool
code_permanent(rd_kafka_resp_err_t code)
{
	return mo_lane_code_refused(code) ||
		code == RD_KAFKA_RESP_ERR_INVALID_REQUEST ||
		code == RD_KAFKA_RESP_ERR__INVALID_ARG ||
		code == RD_KAFKA_RESP_ERR__FATAL;
}

/* Ends the call, or says that it is to be tried again. */
static bool
fail_or_retry(MoLane *lane, rd_kafka_resp_err_t code, const char *reason)
{
	if (reason == NULL || reason[0] == '\0')
		reason = rd_kafka_err2str(code);
	if (code_permanent(code))
	{
		mo_lane_fail(lane, MO_KAFKA_REFUSED, code, reason);
		return false;
	}
	return mo_lane_retry(lane, reason, true);
}

/* Is the cluster there?  Asks for the metadata of what the handle knows. */
bool
mo_admin_probe(rd_kafka_t *rk)
{
	const struct rd_kafka_metadata *metadata;

	if (rd_kafka_metadata(rk, 0, NULL, &metadata, MO_CALL_TIMEOUT) !=
		RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	rd_kafka_metadata_destroy(metadata);
	return true;
}

/* ----------------------------------------------------------------
 * The marker
 * ----------------------------------------------------------------
 */

static void
take_marker(MoLane *lane, const rd_kafka_topic_partition_t *position)
{
	lane->marker_found = position->offset >= 0;
	lane->marker_lsn = 0;
	lane->marker_metadata[0] = '\0';
	if (!lane->marker_found)
		return;

	lane->marker_lsn = (XLogRecPtr) position->offset;
	if (position->metadata)
	{
		size_t		length = Min(position->metadata_size, MO_METADATA_MAX);

		memcpy(lane->marker_metadata, position->metadata, length);
		lane->marker_metadata[length] = '\0';
	}
}

/* A consumer that only asks for its group's offset; it joins no group. */
static rd_kafka_t *
open_reader(MoLane *lane, char *reason, size_t size)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_dup(lane->conf);
	rd_kafka_t *reader;

	(void) rd_kafka_conf_set(conf, "group.id", lane->group, NULL, 0);
	(void) rd_kafka_conf_set(conf, "enable.auto.commit", "false", NULL, 0);
	(void) rd_kafka_conf_set(conf, "isolation.level",
							 lane->marker_committed ? "read_committed" :
							 "read_uncommitted", NULL, 0);
	reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, size);
	if (reader == NULL)
		rd_kafka_conf_destroy(conf);
	return reader;
}

/*
 * Asks once.  A topic that nobody has written to yet is no error, and has no
 * marker.
 */
static rd_kafka_resp_err_t
ask_marker(MoLane *lane, rd_kafka_t *reader)
{
	rd_kafka_topic_partition_list_t *position;
	rd_kafka_resp_err_t code;

	position = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(position, lane->marker_topic, 0);
	code = rd_kafka_committed(reader, position, MO_CALL_TIMEOUT);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		code = position->elems[0].err;
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		take_marker(lane, &position->elems[0]);
	else if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		code = RD_KAFKA_RESP_ERR_NO_ERROR;
	rd_kafka_topic_partition_list_destroy(position);
	return code;
}

/*
 * Why the coordinator cannot be asked at all: librdkafka tells that to the
 * consumer and lets the request time out.
 */
static rd_kafka_resp_err_t
deeper_cause(rd_kafka_t *reader, rd_kafka_resp_err_t code)
{
	rd_kafka_message_t *message;

	while ((message = rd_kafka_consumer_poll(reader, 0)) != NULL)
	{
		if (code_permanent(message->err))
			code = message->err;
		rd_kafka_message_destroy(message);
	}
	return code;
}

/*
 * What a reading that brought nothing waits for, or NULL.  A coordinator that
 * is there, and gives no answer to a committed read, holds the offset as
 * pending; librdkafka only knows that time is up.
 */
static const char *
held_back(MoLane *lane, rd_kafka_t *reader, rd_kafka_resp_err_t code)
{
	if (code == RD_KAFKA_RESP_ERR__TIMED_OUT && lane->marker_committed &&
		mo_admin_probe(reader))
		return "the group coordinator holds the marker back for a transaction that has not ended";
	return NULL;
}

/*
 * Reads the marker.  With somebody's transaction open on it, a committed read
 * is not answered until that transaction has ended; fence its owner first.
 */
void
mo_admin_call_read_marker(MoLane *lane)
{
	rd_kafka_t *reader;
	char		reason[200];
	rd_kafka_resp_err_t code;

	lane->marker_found = false;
	if (lane->embedded)
	{
		lane->marker_found = mo_embedded_fetch_marker(lane->embedded,
													  &lane->marker_lsn,
													  lane->marker_metadata);
		mo_lane_succeed(lane);
		return;
	}
	reader = open_reader(lane, reason, sizeof(reason));
	if (reader == NULL)
	{
		mo_lane_fail(lane, MO_KAFKA_REFUSED, RD_KAFKA_RESP_ERR__INVALID_ARG,
					 reason);
		return;
	}
	while ((code = ask_marker(lane, reader)) != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		code = deeper_cause(reader, code);
		if (!fail_or_retry(lane, code, held_back(lane, reader, code)))
			break;
	}
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		mo_lane_succeed(lane);
	rd_kafka_destroy_flags(reader, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

/* Removes the marker, with its group.  Tried once. */
void
mo_admin_call_forget(MoLane *lane)
{
	AdminRequest request;
	rd_kafka_DeleteGroup_t *group = rd_kafka_DeleteGroup_new(lane->group);
	rd_kafka_event_t *event;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__DESTROY;

	request_open(&request, lane->rk, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
	rd_kafka_DeleteGroups(lane->rk, &group, 1, request.options, request.queue);
	event = request_wait(lane, &request);
	if (event)
	{
		code = rd_kafka_event_error(event);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			const rd_kafka_group_result_t **groups;
			size_t		count;

			groups = rd_kafka_DeleteGroups_result_groups(
				rd_kafka_event_DeleteGroups_result(event), &count);
			if (count == 1 && rd_kafka_group_result_error(groups[0]))
				code = rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
		}
		rd_kafka_event_destroy(event);
	}
	request_close(&request);
	rd_kafka_DeleteGroup_destroy(group);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		mo_lane_succeed(lane);
	else
		mo_lane_fail(lane, MO_KAFKA_REFUSED, code, rd_kafka_err2str(code));
}

/* ----------------------------------------------------------------
 * Topics
 * ----------------------------------------------------------------
 */

/*
 * How many partitions the topic has; 0 and UNKNOWN_TOPIC_OR_PART if it does
 * not exist.  A topic whose partitions have no leader yet was created a moment
 * ago or is half down: LEADER_NOT_AVAILABLE.
 */
static rd_kafka_resp_err_t
count_partitions(MoLane *lane, int *partitions)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(lane->rk, lane->topic, NULL);
	rd_kafka_resp_err_t code;

	*partitions = 0;
	if (rkt == NULL)
		return rd_kafka_last_error();
	code = rd_kafka_metadata(lane->rk, 0, rkt, &metadata, MO_CALL_TIMEOUT);
	rd_kafka_topic_destroy(rkt);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return code;

	if (metadata->topic_cnt != 1)
		code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	else
	{
		code = metadata->topics[0].err;
		*partitions = metadata->topics[0].partition_cnt;
		for (int i = 0; i < *partitions && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
		{
			if (metadata->topics[0].partitions[i].leader < 0)
				code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
		}
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR && *partitions == 0)
			code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	}
	rd_kafka_metadata_destroy(metadata);
	return code;
}

/*
 * Asks for the topic to be created.  NULL reason: no own words for the error.
 * That somebody else was faster is no error; the metadata will tell what they
 * made of it.
 */
static rd_kafka_resp_err_t
create_topic(MoLane *lane, char *reason, size_t size)
{
	AdminRequest request;
	rd_kafka_event_t *event;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__DESTROY;

	request_open(&request, lane->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_CreateTopics(lane->rk, &lane->new_topic, 1, request.options,
						  request.queue);
	event = request_wait(lane, &request);
	if (event)
	{
		const char *words = rd_kafka_event_error_string(event);

		code = rd_kafka_event_error(event);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			const rd_kafka_topic_result_t **topics;
			size_t		count;

			topics = rd_kafka_CreateTopics_result_topics(
				rd_kafka_event_CreateTopics_result(event), &count);
			if (count == 1)
			{
				code = rd_kafka_topic_result_error(topics[0]);
				words = rd_kafka_topic_result_error_string(topics[0]);
			}
		}
		strlcpy(reason, words ? words : "", size);
		rd_kafka_event_destroy(event);
	}
	request_close(&request);

	return code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ?
		RD_KAFKA_RESP_ERR_NO_ERROR : code;
}

/*
 * The topic's id tells a topic that was deleted and made again from the one
 * it replaces.  Only newer libraries can ask for it, and a broker may refuse;
 * then it stays empty.
 */
static void
find_topic_id(MoLane *lane)
{
	lane->topic_id[0] = '\0';
#if RD_KAFKA_VERSION >= 0x020300ff
	if (!lane->embedded)
	{
		AdminRequest request;
		rd_kafka_TopicCollection_t *names;
		const char *name = lane->topic;
		rd_kafka_event_t *event;

		names = rd_kafka_TopicCollection_of_topic_names(&name, 1);
		request_open(&request, lane->rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
		rd_kafka_DescribeTopics(lane->rk, names, request.options,
								request.queue);
		event = request_wait(lane, &request);
		if (event && !rd_kafka_event_error(event))
		{
			const rd_kafka_TopicDescription_t **topics;
			size_t		count;

			topics = rd_kafka_DescribeTopics_result_topics(
				rd_kafka_event_DescribeTopics_result(event), &count);
			if (count == 1 && rd_kafka_TopicDescription_topic_id(topics[0]))
				strlcpy(lane->topic_id,
						rd_kafka_Uuid_base64str(rd_kafka_TopicDescription_topic_id(topics[0])),
						sizeof(lane->topic_id));
		}
		if (event)
			rd_kafka_event_destroy(event);
		request_close(&request);
		rd_kafka_TopicCollection_destroy(names);
	}
#endif
}

/* One setting of the described topic, or NULL. */
static const char *
described_setting(rd_kafka_event_t *event, const char *name)
{
	const rd_kafka_ConfigResource_t **resources;
	const rd_kafka_ConfigEntry_t **entries;
	size_t		count;

	resources = rd_kafka_DescribeConfigs_result_resources(
		rd_kafka_event_DescribeConfigs_result(event), &count);
	if (count != 1 || rd_kafka_ConfigResource_error(resources[0]))
		return NULL;
	entries = rd_kafka_ConfigResource_configs(resources[0], &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
			return rd_kafka_ConfigEntry_value(entries[i]);
	return NULL;
}

/* The largest message set the topic takes; a broker may refuse to tell. */
static void
find_topic_limit(MoLane *lane)
{
	AdminRequest request;
	rd_kafka_ConfigResource_t *resource;
	rd_kafka_event_t *event;

	lane->topic_limit = 0;
	if (lane->embedded)
		return;
	resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, lane->topic);
	request_open(&request, lane->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_DescribeConfigs(lane->rk, &resource, 1, request.options,
							 request.queue);
	event = request_wait(lane, &request);
	if (event && !rd_kafka_event_error(event))
	{
		const char *value = described_setting(event, "max.message.bytes");

		lane->topic_limit = value ? strtoll(value, NULL, 10) : 0;
	}
	if (event)
		rd_kafka_event_destroy(event);
	request_close(&request);
	rd_kafka_ConfigResource_destroy(resource);
}

/*
 * Looks first and creates only what is missing, so that a publisher without
 * the right to create topics works on topics that an operator made.
 */
void
mo_admin_call_ensure_topic(MoLane *lane)
{
	/* It would create the topic itself, in its own way, when asked for it. */
	if (lane->embedded)
		mo_embedded_create_topic(lane->embedded, lane->topic,
								 lane->partitions_wanted);
	for (;;)
	{
		char		reason[200] = "";
		rd_kafka_resp_err_t code = count_partitions(lane, &lane->partitions);

		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
			code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		{
			code = create_topic(lane, reason, sizeof(reason));
			if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
				code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
		}
		if (!fail_or_retry(lane, code, reason))
			return;
	}
	find_topic_id(lane);
	find_topic_limit(lane);
	mo_lane_succeed(lane);
}

/* ----------------------------------------------------------------
 * Ends of logs
 * ----------------------------------------------------------------
 */

static bool
code_no_partition(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
		code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
		code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

/*
 * Does the partition that a consumer does not know exist?  A consumer takes
 * for unknown what it may not see; the topic's metadata tell.
 */
static rd_kafka_resp_err_t
ask_existence(MoLane *lane, const MoLogEnd *log)
{
	int			partitions;
	rd_kafka_resp_err_t code;

	strlcpy(lane->topic, log->topic, sizeof(lane->topic));
	code = count_partitions(lane, &partitions);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && log->partition >= partitions)
		return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ?
		RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE : code;
}

/*
 * Asks once for the end of a log, whatever transactions are open in it.  A
 * partition that does not exist is as good as an empty one.
 */
static rd_kafka_resp_err_t
ask_log_end(MoLane *lane, rd_kafka_t *reader, MoLogEnd *log)
{
	int64_t		low;
	int64_t		high;
	rd_kafka_resp_err_t code;

	code = rd_kafka_query_watermark_offsets(reader, log->topic,
											log->partition, &low, &high,
											MO_CALL_TIMEOUT);
	if (code_no_partition(code))
		code = ask_existence(lane, log);
	if (code_no_partition(code))
	{
		code = RD_KAFKA_RESP_ERR_NO_ERROR;
		high = 0;
	}
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		log->end = high;
	return code;
}

/* False if the call has ended without an answer. */
static bool
find_log_end(MoLane *lane, rd_kafka_t *reader, MoLogEnd *log)
{
	rd_kafka_resp_err_t code;

	while ((code = ask_log_end(lane, reader, log)) != RD_KAFKA_RESP_ERR_NO_ERROR)
		if (!fail_or_retry(lane, code, NULL))
			return false;
	return true;
}

/*
 * The ends of the logs, not the last stable offsets: those wait for the open
 * transactions of others, and would look like a topic that lost events.  One
 * consumer asks for all: making it costs more than all it does.
 */
void
mo_admin_call_log_ends(MoLane *lane)
{
	rd_kafka_t *reader;
	char		reason[200];
	bool		ok = true;

	lane->marker_committed = false;
	reader = open_reader(lane, reason, sizeof(reason));
	if (reader == NULL)
	{
		mo_lane_fail(lane, MO_KAFKA_REFUSED, RD_KAFKA_RESP_ERR__INVALID_ARG,
					 reason);
		return;
	}
	for (int i = 0; i < lane->nlog_ends && ok; i++)
		ok = !mo_lane_stopping(lane) &&
			find_log_end(lane, reader, &lane->log_ends[i]);
	if (ok)
		mo_lane_succeed(lane);
	rd_kafka_destroy_flags(reader, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}
