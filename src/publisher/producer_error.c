/*-------------------------------------------------------------------------
 *
 * producer_error.c
 *	  What librdkafka's error codes mean to a publisher.
 *
 * Pure functions of a code, so that nobody else needs librdkafka's header.
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

const char *
mo_producer_refusal(int error)
{
	return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? "too_large" : "refused";
}

bool
mo_producer_topic_impossible(int code)
{
	return code == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
}
