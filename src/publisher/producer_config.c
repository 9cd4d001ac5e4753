/*-------------------------------------------------------------------------
 *
 * producer_config.c
 *	  From a publisher's options to librdkafka's configuration.
 *
 * Called by mo_producer_create() in the publisher, and by create_publisher()
 * in a session through mo_producer_check_options().
 *
 * Options are a closed list.  librdkafka's properties include a library to
 * load, a command to run in a shell and a file to read; whoever may create a
 * publisher must not gain the server's account by that.  For the same reason
 * an option that names a file of the server asks for the right to read such
 * files, and secrets are given as {"file": "/path"}: they are never stored in
 * a catalog, never shown in an error or a log line.
 *
 * librdkafka's configuration objects are malloc'd.  Everything that can raise
 * an error is done before one exists, or after it was destroyed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "publisher/producer_internal.h"
#include "rights.h"

#define EMBEDDED			"embedded"

/* A pass phrase; an inline key in PEM is the longest thing it can be. */
#define SECRET_MAX			(64 * 1024)

/*
 * Records of both transactions and some more fit into the local queues; what
 * does not fit waits with the caller (MO_PRODUCE_FULL), who has it in memory
 * anyway.
 */
#define QUEUE_MESSAGES		"200000"
#define QUEUE_KBYTES		(64 * 1024)

typedef enum OptionKind
{
	OPTION_PLAIN,
	OPTION_PATH,				/* names a file of the server */
	OPTION_SECRET,				/* only as {"file": …} */
	OPTION_OURS					/* set by us alone */
} OptionKind;

typedef struct KnownOption
{
	const char *name;
	OptionKind	kind;
} KnownOption;

/* Sorted by what they are about; looked up by name. */
static const KnownOption known_options[] = {
	{"security.protocol", OPTION_PLAIN},
	{"sasl.mechanism", OPTION_PLAIN},
	{"sasl.mechanisms", OPTION_PLAIN},
	{"sasl.username", OPTION_PLAIN},
	{"sasl.password", OPTION_SECRET},
	{"sasl.kerberos.service.name", OPTION_PLAIN},
	{"ssl.ca.location", OPTION_PATH},
	{"ssl.ca.pem", OPTION_PLAIN},
	{"ssl.certificate.location", OPTION_PATH},
	{"ssl.certificate.pem", OPTION_PLAIN},
	{"ssl.crl.location", OPTION_PATH},
	{"ssl.key.location", OPTION_PATH},
	{"ssl.key.password", OPTION_SECRET},
	{"ssl.key.pem", OPTION_SECRET},
	{"ssl.keystore.location", OPTION_PATH},
	{"ssl.keystore.password", OPTION_SECRET},
	{"ssl.cipher.suites", OPTION_PLAIN},
	{"ssl.curves.list", OPTION_PLAIN},
	{"ssl.sigalgs.list", OPTION_PLAIN},
	{"ssl.endpoint.identification.algorithm", OPTION_PLAIN},
	{"enable.ssl.certificate.verification", OPTION_PLAIN},

	{"compression.type", OPTION_PLAIN},
	{"compression.codec", OPTION_PLAIN},
	{"compression.level", OPTION_PLAIN},
	{"linger.ms", OPTION_PLAIN},
	{"batch.size", OPTION_PLAIN},
	{"batch.num.messages", OPTION_PLAIN},
	{"message.max.bytes", OPTION_PLAIN},
	{"transaction.timeout.ms", OPTION_PLAIN},

	{"broker.address.family", OPTION_PLAIN},
	{"broker.address.ttl", OPTION_PLAIN},
	{"client.dns.lookup", OPTION_PLAIN},
	{"connections.max.idle.ms", OPTION_PLAIN},
	{"metadata.max.age.ms", OPTION_PLAIN},
	{"reconnect.backoff.ms", OPTION_PLAIN},
	{"retry.backoff.ms", OPTION_PLAIN},
	{"retry.backoff.max.ms", OPTION_PLAIN},
	{"socket.connection.setup.timeout.ms", OPTION_PLAIN},
	{"socket.keepalive.enable", OPTION_PLAIN},
	{"socket.receive.buffer.bytes", OPTION_PLAIN},
	{"socket.send.buffer.bytes", OPTION_PLAIN},
	{"socket.timeout.ms", OPTION_PLAIN},
	{"topic.metadata.refresh.interval.ms", OPTION_PLAIN},
	{"debug", OPTION_PLAIN},
	{"log_level", OPTION_PLAIN},
	{"log.connection.close", OPTION_PLAIN},

	{"acks", OPTION_OURS},
	{"allow.auto.create.topics", OPTION_OURS},
	{"bootstrap.servers", OPTION_OURS},
	{"client.id", OPTION_OURS},
	{"enable.idempotence", OPTION_OURS},
	{"enable.metrics.push", OPTION_OURS},
	{"isolation.level", OPTION_OURS},
	{"log.queue", OPTION_OURS},
	{"max.in.flight", OPTION_OURS},
	{"max.in.flight.requests.per.connection", OPTION_OURS},
	{"message.send.max.retries", OPTION_OURS},
	{"message.timeout.ms", OPTION_OURS},
	{"delivery.timeout.ms", OPTION_OURS},
	{"metadata.broker.list", OPTION_OURS},
	{"partitioner", OPTION_OURS},
	{"queue.buffering.max.kbytes", OPTION_OURS},
	{"queue.buffering.max.messages", OPTION_OURS},
	{"reconnect.backoff.max.ms", OPTION_OURS},
	{"request.required.acks", OPTION_OURS},
	{"retries", OPTION_OURS},
	{"socket.nagle.disable", OPTION_OURS},
	{"statistics.interval.ms", OPTION_OURS},
	{"transactional.id", OPTION_OURS},
};

/* One option as given. */
typedef struct GivenOption
{
	char	   *name;
	char	   *value;			/* of a secret: what its file holds */
	OptionKind	kind;
} GivenOption;

/* ----------------------------------------------------------------
 * Reading the options
 * ----------------------------------------------------------------
 */

static char *
allowed_options(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(known_options); i++)
	{
		if (known_options[i].kind != OPTION_OURS)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
							 known_options[i].name);
	}
	return names.data;
}

static OptionKind
option_kind(const char *name)
{
	for (int i = 0; i < lengthof(known_options); i++)
	{
		if (strcmp(known_options[i].name, name) != 0)
			continue;
		if (known_options[i].kind == OPTION_OURS)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("publisher option \"%s\" is set by mesh_outbox itself",
							name)));
		return known_options[i].kind;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown publisher option \"%s\"", name),
			 errdetail("Allowed options are: %s.", allowed_options())));
}

/*
 * What a secret's file holds, without the line end behind it.  Like the
 * server's own key file, it must not be open to everybody.
 */
static char *
read_secret(const char *name, const char *path)
{
	struct stat st;
	char	   *secret;
	ssize_t		length;
	int			fd;

	if (!is_absolute_path(path))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("file of publisher option \"%s\" is not an absolute path",
						name)));
	fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	if (fd < 0 || fstat(fd, &st) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\" of publisher option \"%s\": %m",
						path, name)));
	if (!S_ISREG(st.st_mode) || (st.st_mode & S_IRWXO) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("file \"%s\" of publisher option \"%s\" is unsafe",
						path, name),
				 errdetail("It must be a plain file without permissions for others.")));

	secret = palloc(SECRET_MAX + 1);
	length = read(fd, secret, SECRET_MAX);
	if (length < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\" of publisher option \"%s\": %m",
						path, name)));
	CloseTransientFile(fd);

	while (length > 0 && (secret[length - 1] == '\n' ||
						  secret[length - 1] == '\r'))
		length--;
	secret[length] = '\0';
	return secret;
}

/* A JSON scalar as librdkafka and Kafka write it, or NULL. */
static char *
scalar_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

/* The path in {"file": path}, or NULL if the value is anything else. */
static char *
file_reference(JsonbValue *value)
{
	JsonbValue	buffer;
	JsonbValue *path;

	if (value->type != jbvBinary ||
		!JsonContainerIsObject(value->val.binary.data) ||
		JsonContainerSize(value->val.binary.data) != 1)
		return NULL;
	path = getKeyJsonValueFromContainer(value->val.binary.data, "file", 4,
										&buffer);
	return path && path->type == jbvString ? scalar_text(path) : NULL;
}

/* Who may make the server read a file?  Asked of a management call's caller. */
static void
check_right_to_files(const char *name)
{
	if (!has_privs_of_role(mo_rights_caller(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for publisher option \"%s\"", name),
				 errdetail("Only roles with privileges of role \"%s\" may refer to files of the server.",
						   "pg_read_server_files")));
}

static GivenOption *
read_option(const char *name, JsonbValue *value, bool by_user)
{
	GivenOption *option = palloc0(sizeof(GivenOption));

	option->name = pstrdup(name);
	option->kind = option_kind(name);
	if (by_user && option->kind != OPTION_PLAIN)
		check_right_to_files(name);
	if (option->kind == OPTION_SECRET)
	{
		char	   *path = file_reference(value);

		if (path == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("publisher option \"%s\" must refer to a file",
							name),
					 errdetail("Secrets are not stored in the database."),
					 errhint("Write the secret to a file of the server and give {\"%s\": {\"file\": \"/path\"}}.",
							 name)));
		option->value = read_secret(name, path);
	}
	else
		option->value = scalar_text(value);

	if (option->value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("publisher option \"%s\" must be a string, a number or a boolean",
						name)));
	return option;
}

typedef void (*MemberFunction) (const char *name, JsonbValue *value,
								void *context);

/* Calls the function for each member of a JSON object given as text. */
static void
each_member(const char *what, const char *json, MemberFunction function,
			void *context)
{
	Jsonb	   *object;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;

	object = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												CStringGetDatum(json)));
	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", what)));

	iterator = JsonbIteratorInit(&object->root);
	(void) JsonbIteratorNext(&iterator, &value, true);	/* the object itself */
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			function(name, &value, context);
	}
}

typedef struct ReadContext
{
	List	   *options;		/* of GivenOption */
	bool		by_user;		/* a user gives them now; else the catalog */
} ReadContext;

static void
collect_option(const char *name, JsonbValue *value, void *context)
{
	ReadContext *read = context;

	read->options = lappend(read->options,
							read_option(name, value, read->by_user));
}

static List *
read_options(const char *json, bool by_user)
{
	ReadContext read = {NIL, by_user};

	if (json && json[0] != '\0')
		each_member("publisher options", json, collect_option, &read);
	return read.options;
}

/* Nothing of a secret stays in memory that is merely freed. */
static void
forget_options(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		GivenOption *option = lfirst(lc);

		explicit_bzero(option->value, strlen(option->value));
	}
}

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
static const GivenOption *
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
		const GivenOption *option = lfirst(lc);

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
	List	   *options = read_options(json, by_user);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const GivenOption *bad;
	char		reason[512];

	bad = apply_options(conf, options, reason, sizeof(reason));
	forget_options(options);
	if (bad)
	{
		rd_kafka_conf_destroy(conf);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("publisher option \"%s\" is not accepted", bad->name),
				 bad->kind == OPTION_SECRET ? 0 :
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
 * Settings of a topic
 * ----------------------------------------------------------------
 */

typedef struct SettingsContext
{
	rd_kafka_NewTopic_t *new_topic;
	bool		ok;
} SettingsContext;

static void
set_topic_setting(const char *name, JsonbValue *value, void *context)
{
	SettingsContext *settings = context;
	char	   *text = scalar_text(value);

	if (text == NULL)
		settings->ok = false;
	else
		(void) rd_kafka_NewTopic_set_config(settings->new_topic, name, text);
}

/*
 * JSON object of Kafka's topic settings; the broker judges them.  False if one
 * of them has no form that Kafka knows.
 */
bool
mo_producer_topic_settings(rd_kafka_NewTopic_t *new_topic, const char *config)
{
	SettingsContext settings = {new_topic, true};

	if (config && config[0] != '\0')
		each_member("topic settings", config, set_topic_setting, &settings);
	return settings.ok;
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
