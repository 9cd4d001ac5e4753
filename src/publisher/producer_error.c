/*-------------------------------------------------------------------------
 *
 * producer_error.c
 *	  What librdkafka's error codes mean to a publisher.
 *
 * Pure functions of an error, so that nobody else needs librdkafka's header.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "publisher/producer_internal.h"

/*
 * Only what the broker or the library says of the record itself is a
 * refusal, and with company a refused record is only a suspect (producer.c).
 * Sequence errors follow from an earlier abort, purged records from a
 * neighbour.
 */
MoRecordVerdict
mo_producer_record_verdict(int error)
{
	switch (error)
	{
		case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
		case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
		case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
		case RD_KAFKA_RESP_ERR_INVALID_RECORD:
			return MO_RECORD_REFUSED;
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
			return MO_RECORD_NO_TOPIC;
		default:
			return MO_RECORD_REPEAT;
	}
}

const char *
mo_producer_error_text(int error)
{
	return rd_kafka_err2str(error);
}

bool
mo_producer_is_size(int error)
{
	return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
}

const char *
mo_producer_refusal(int error)
{
	return mo_producer_is_size(error) ? "too_large" : "refused";
}

/*
 * Too few brokers are two cases: not as many as that belong to the cluster,
 * which only its operator can change; or they are down, which heals.  Kafka
 * (KRaft) counts those that are registered, down or not, and says so; what
 * else refuses a replication factor may count the living.
 */
MoTopicVerdict
mo_producer_topic_verdict(const MoKafkaError *error)
{
	switch (error->code)
	{
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
			return MO_TOPIC_IMPOSSIBLE;
		case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
			return strstr(error->message, "registered") ?
				MO_TOPIC_REFUSED : MO_TOPIC_WAIT;
		case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
		case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
		case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
		case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
			return MO_TOPIC_REFUSED;
		default:
			return MO_TOPIC_WAIT;
	}
}
