/*-------------------------------------------------------------------------
 *
 * producer_embedded.c
 *	  brokers => 'embedded': librdkafka's own broker, inside this process.
 *
 * For trying things out and for regression tests.  It keeps events in memory,
 * ignores isolation levels and forgets committed offsets, so it proves
 * nothing about exactly-once; the last marker is kept here in its stead.  All
 * is lost with the process.
 *
 * Called by producer.c, and by lanes from their threads: nothing of
 * PostgreSQL is called here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "publisher/producer_internal.h"

#include <librdkafka/rdkafka_mock.h>

struct MoEmbedded
{
	rd_kafka_t *rk;				/* carries the broker, does nothing else */
	rd_kafka_mock_cluster_t *cluster;

	pthread_mutex_t lock;		/* of the marker */
	bool		has_marker;
	XLogRecPtr	marker_lsn;
	char		marker_metadata[MO_METADATA_MAX + 1];
};

/*
 * Starts it, with all signals blocked: the broker's thread inherits the mask.
 * Takes over "conf" in any case.  NULL with a reason if it cannot be had.
 */
MoEmbedded *
mo_embedded_start(rd_kafka_conf_t *conf, char *reason, size_t size)
{
	MoEmbedded *embedded = calloc(1, sizeof(MoEmbedded));

	if (embedded)
		embedded->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, size);
	else
		strlcpy(reason, "out of memory", size);
	if (embedded == NULL || embedded->rk == NULL)
	{
		rd_kafka_conf_destroy(conf);
		free(embedded);
		return NULL;
	}

	pthread_mutex_init(&embedded->lock, NULL);
	embedded->cluster = rd_kafka_mock_cluster_new(embedded->rk, 1);
	if (embedded->cluster == NULL)
	{
		strlcpy(reason, "the broker did not start", size);
		mo_embedded_stop(embedded);
		return NULL;
	}
	return embedded;
}

/* Every other handle is gone. */
void
mo_embedded_stop(MoEmbedded *embedded)
{
	if (embedded->cluster)
		rd_kafka_mock_cluster_destroy(embedded->cluster);
	rd_kafka_destroy(embedded->rk);
	pthread_mutex_destroy(&embedded->lock);
	free(embedded);
}

rd_kafka_t *
mo_embedded_handle(MoEmbedded *embedded)
{
	return embedded->rk;
}

const char *
mo_embedded_bootstrap(MoEmbedded *embedded)
{
	return rd_kafka_mock_cluster_bootstraps(embedded->cluster);
}

/*
 * It does not answer the admin request for this.  That the topic exists is
 * the only thing that can be wrong, and is right.
 */
void
mo_embedded_create_topic(MoEmbedded *embedded, const char *topic,
						 int partitions)
{
	(void) rd_kafka_mock_topic_create(embedded->cluster, topic, partitions, 1);
}

void
mo_embedded_store_marker(MoEmbedded *embedded, XLogRecPtr lsn,
						 const char *metadata)
{
	pthread_mutex_lock(&embedded->lock);
	embedded->has_marker = true;
	embedded->marker_lsn = lsn;
	strlcpy(embedded->marker_metadata, metadata,
			sizeof(embedded->marker_metadata));
	pthread_mutex_unlock(&embedded->lock);
}

/* "metadata" has room for MO_METADATA_MAX characters and the end. */
bool
mo_embedded_fetch_marker(MoEmbedded *embedded, XLogRecPtr *lsn,
						 char *metadata)
{
	bool		found;

	pthread_mutex_lock(&embedded->lock);
	found = embedded->has_marker;
	*lsn = embedded->marker_lsn;
	strlcpy(metadata, embedded->marker_metadata, MO_METADATA_MAX + 1);
	pthread_mutex_unlock(&embedded->lock);
	return found;
}
