/*-------------------------------------------------------------------------
 *
 * producer_config.c
 *	  From a publisher's options to librdkafka's configuration.
 *
 * Called by mo_producer_create() in the publisher, and by create_publisher()
 * in a session through mo_producer_check_options().
 *
 * librdkafka's configuration objects are malloc'd.  Everything that can raise
 * an error is done before one exists, or after it was destroyed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "publisher/producer_internal.h"
#include "publisher/producer_options.h"

#define EMBEDDED			"embedded"

/*
 * Records of both transactions and some more fit into the local queues; what
 * does not fit waits with the caller (MO_PRODUCE_FULL), who has it in memory
 * anyway.
 */
#define QUEUE_MESSAGES		"200000"
#define QUEUE_KBYTES		(64 * 1024)

/* ----------------------------------------------------------------
 * Building librdkafka's configuration
 * ----------------------------------------------------------------
 */

/* A property that a library may be too old for, or built without. */
static void
set_if_known(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		ignored[256];

	(void) rd_kafka_conf_set(conf, name, value, ignored, sizeof(ignored));
}

static long
number_of(rd_kafka_conf_t *conf, const char *name)
{
	char		text[32];
	size_t		size = sizeof(text);

	return rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK ?
		atol(text) : 0;
}

static void
set_number(rd_kafka_conf_t *conf, const char *name, long value)
{
	char		text[32];

	snprintf(text, sizeof(text), "%ld", value);
	set_if_known(conf, name, text);
}

/*
 * A record that is larger than the local queue could never enter it, so the
 * queue grows with message.max.bytes.  And librdkafka demands that a request
 * does not outlast its transaction.
 */
static void
set_derived(rd_kafka_conf_t *conf)
{
	set_number(conf, "queue.buffering.max.kbytes",
			   Max(QUEUE_KBYTES, 2 * (number_of(conf, "message.max.bytes") / 1024)));
	set_number(conf, "socket.timeout.ms",
			   Min(number_of(conf, "socket.timeout.ms"),
				   number_of(conf, "transaction.timeout.ms")));
}

/*
 * Applies the options; raises no error, so that the configuration cannot
 * leak.  Returns the option that was refused, or NULL.
 */
static const MoGivenOption *
apply_options(rd_kafka_conf_t *conf, List *options, char *reason, size_t size)
{
	ListCell   *lc;

	/*
	 * Ours, but open to options.  A transaction that begins soon after its
	 * id's last one may meet CONCURRENT_TRANSACTIONS and wait for this
	 * back-off: the default of 100 ms would be the 99th percentile.
	 */
	set_if_known(conf, "retry.backoff.ms", "10");
	set_if_known(conf, "linger.ms", "0");
	set_if_known(conf, "socket.keepalive.enable", "true");
	set_if_known(conf, "transaction.timeout.ms", "60000");
	set_if_known(conf, "socket.timeout.ms", "10000");

	foreach(lc, options)
	{
		const MoGivenOption *option = lfirst(lc);

		if (rd_kafka_conf_set(conf, option->name, option->value, reason,
							  size) != RD_KAFKA_CONF_OK)
			return option;
	}

	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR |
							 RD_KAFKA_EVENT_LOG);
	set_if_known(conf, "log.queue", "true");
	set_if_known(conf, "allow.auto.create.topics", "false");
	set_if_known(conf, "socket.nagle.disable", "true");
	set_if_known(conf, "enable.metrics.push", "false");
	set_if_known(conf, "reconnect.backoff.max.ms", "1000");
	set_if_known(conf, "queue.buffering.max.messages", QUEUE_MESSAGES);
	set_derived(conf);

	/* Zero keeps the library from running kinit through a shell. */
	set_if_known(conf, "sasl.kerberos.min.time.before.relogin", "0");
	return NULL;
}

/* The options as a configuration; raises an error that names the bad one. */
static rd_kafka_conf_t *
options_conf(const char *json, bool by_user)
{
	List	   *options = mo_options_read(json, by_user);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const MoGivenOption *bad;
	char		reason[512];

	bad = apply_options(conf, options, reason, sizeof(reason));
	mo_options_forget(options);
	if (bad)
	{
		rd_kafka_conf_destroy(conf);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("publisher option \"%s\" is not accepted", bad->name),
				 bad->kind == MO_OPTION_SECRET ? 0 :
				 errdetail("librdkafka says: %s.", reason)));
	}
	return conf;
}

bool
mo_producer_is_embedded(const char *brokers)
{
	return strcmp(brokers, EMBEDDED) == 0;
}

static void
check_brokers(const char *brokers)
{
	if (brokers == NULL || strspn(brokers, ", ") == strlen(brokers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("publisher has no brokers"),
				 errhint("Give \"host:port\", several of them separated by commas, or \"%s\".",
						 EMBEDDED)));
	for (const char *c = brokers; *c; c++)
	{
		if ((unsigned char) *c < ' ')
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("brokers contain a control character")));
	}
}

/* What all handles of a producer share, but for the brokers' address. */
rd_kafka_conf_t *
mo_producer_conf(const MoProducerConfig *config)
{
	rd_kafka_conf_t *conf;

	check_brokers(config->brokers);
	conf = options_conf(config->options, false);
	set_if_known(conf, "client.id", config->client_id);
	return conf;
}

/* Separate, because an embedded broker has an address only once it runs. */
void
mo_producer_set_bootstrap(rd_kafka_conf_t *conf, const char *bootstrap)
{
	set_if_known(conf, "bootstrap.servers", bootstrap);
}

rd_kafka_conf_t *
mo_producer_transactional_conf(const rd_kafka_conf_t *base,
							   const char *prefix, int lane)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_dup(base);
	char		id[256];

	snprintf(id, sizeof(id), "%s-%d", prefix, lane);
	set_if_known(conf, "transactional.id", id);
	return conf;
}

void
mo_producer_check_options(const char *brokers, const char *options)
{
	check_brokers(brokers);
	rd_kafka_conf_destroy(options_conf(options, true));
}

/* ----------------------------------------------------------------
 * The library
 * ----------------------------------------------------------------
 */

int
mo_producer_library_version(const char **version, const char **unfit)
{
	int			number = rd_kafka_version();
	int			release = number >> 8;	/* without the pre-release byte */

	*version = rd_kafka_version_str();
	*unfit = NULL;
	if (release < 0x020002)
		*unfit = "it is older than 2.0.2";
	else if (release >= 0x020500 && release <= 0x020502)
		*unfit = "2.5.0 to 2.5.2 may end the process in their telemetry code";
	else if (release == 0x020a00)
		*unfit = "2.10.0 may lose sight of the brokers for ever";
	return number;
}
