/*-------------------------------------------------------------------------
 *
 * producer_options.c
 *	  A publisher's options and a topic's settings, read from JSON.
 *
 * Called by producer_config.c, in the publisher and in sessions that create
 * or alter one, and by the control lane's calls for topics.
 *
 * Options are a closed list.  librdkafka's properties include a library to
 * load, a command to run in a shell and a file to read; whoever may create a
 * publisher must not gain the server's account by that.  For the same reason
 * an option that names a file of the server asks for the right to read such
 * files, and secrets are given as {"file": "/path"}: they are never stored in
 * a catalog, never shown in an error or a log line.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "publisher/producer_internal.h"
#include "publisher/producer_options.h"
#include "rights.h"

/* A pass phrase; an inline key in PEM is the longest thing it can be. */
#define SECRET_MAX			(64 * 1024)

typedef struct KnownOption
{
	const char *name;
	MoOptionKind	kind;
} KnownOption;

/* Sorted by what they are about; looked up by name. */
static const KnownOption known_options[] = {
	{"security.protocol", MO_OPTION_PLAIN},
	{"sasl.mechanism", MO_OPTION_PLAIN},
	{"sasl.mechanisms", MO_OPTION_PLAIN},
	{"sasl.username", MO_OPTION_PLAIN},
	{"sasl.password", MO_OPTION_SECRET},
	{"sasl.kerberos.service.name", MO_OPTION_PLAIN},
	{"ssl.ca.location", MO_OPTION_PATH},
	{"ssl.ca.pem", MO_OPTION_PLAIN},
	{"ssl.certificate.location", MO_OPTION_PATH},
	{"ssl.certificate.pem", MO_OPTION_PLAIN},
	{"ssl.crl.location", MO_OPTION_PATH},
	{"ssl.key.location", MO_OPTION_PATH},
	{"ssl.key.password", MO_OPTION_SECRET},
	{"ssl.key.pem", MO_OPTION_SECRET},
	{"ssl.keystore.location", MO_OPTION_PATH},
	{"ssl.keystore.password", MO_OPTION_SECRET},
	{"ssl.cipher.suites", MO_OPTION_PLAIN},
	{"ssl.curves.list", MO_OPTION_PLAIN},
	{"ssl.sigalgs.list", MO_OPTION_PLAIN},
	{"ssl.endpoint.identification.algorithm", MO_OPTION_PLAIN},
	{"enable.ssl.certificate.verification", MO_OPTION_PLAIN},

	{"compression.type", MO_OPTION_PLAIN},
	{"compression.codec", MO_OPTION_PLAIN},
	{"compression.level", MO_OPTION_PLAIN},
	{"linger.ms", MO_OPTION_PLAIN},
	{"batch.size", MO_OPTION_PLAIN},
	{"batch.num.messages", MO_OPTION_PLAIN},
	{"message.max.bytes", MO_OPTION_PLAIN},
	{"transaction.timeout.ms", MO_OPTION_PLAIN},

	{"broker.address.family", MO_OPTION_PLAIN},
	{"broker.address.ttl", MO_OPTION_PLAIN},
	{"client.dns.lookup", MO_OPTION_PLAIN},
	{"connections.max.idle.ms", MO_OPTION_PLAIN},
	{"metadata.max.age.ms", MO_OPTION_PLAIN},
	{"reconnect.backoff.ms", MO_OPTION_PLAIN},
	{"retry.backoff.ms", MO_OPTION_PLAIN},
	{"retry.backoff.max.ms", MO_OPTION_PLAIN},
	{"socket.connection.setup.timeout.ms", MO_OPTION_PLAIN},
	{"socket.keepalive.enable", MO_OPTION_PLAIN},
	{"socket.receive.buffer.bytes", MO_OPTION_PLAIN},
	{"socket.send.buffer.bytes", MO_OPTION_PLAIN},
	{"socket.timeout.ms", MO_OPTION_PLAIN},
	{"topic.metadata.refresh.interval.ms", MO_OPTION_PLAIN},
	{"debug", MO_OPTION_PLAIN},
	{"log_level", MO_OPTION_PLAIN},
	{"log.connection.close", MO_OPTION_PLAIN},

	{"acks", MO_OPTION_OURS},
	{"allow.auto.create.topics", MO_OPTION_OURS},
	{"bootstrap.servers", MO_OPTION_OURS},
	{"client.id", MO_OPTION_OURS},
	{"enable.idempotence", MO_OPTION_OURS},
	{"enable.metrics.push", MO_OPTION_OURS},
	{"isolation.level", MO_OPTION_OURS},
	{"log.queue", MO_OPTION_OURS},
	{"max.in.flight", MO_OPTION_OURS},
	{"max.in.flight.requests.per.connection", MO_OPTION_OURS},
	{"message.send.max.retries", MO_OPTION_OURS},
	{"message.timeout.ms", MO_OPTION_OURS},
	{"delivery.timeout.ms", MO_OPTION_OURS},
	{"metadata.broker.list", MO_OPTION_OURS},
	{"partitioner", MO_OPTION_OURS},
	{"queue.buffering.max.kbytes", MO_OPTION_OURS},
	{"queue.buffering.max.messages", MO_OPTION_OURS},
	{"reconnect.backoff.max.ms", MO_OPTION_OURS},
	{"request.required.acks", MO_OPTION_OURS},
	{"retries", MO_OPTION_OURS},
	{"socket.nagle.disable", MO_OPTION_OURS},
	{"statistics.interval.ms", MO_OPTION_OURS},
	{"transactional.id", MO_OPTION_OURS},
};

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
		if (known_options[i].kind != MO_OPTION_OURS)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
							 known_options[i].name);
	}
	return names.data;
}

static MoOptionKind
option_kind(const char *name)
{
	for (int i = 0; i < lengthof(known_options); i++)
	{
		if (strcmp(known_options[i].name, name) != 0)
			continue;
		if (known_options[i].kind == MO_OPTION_OURS)
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

static MoGivenOption *
read_option(const char *name, JsonbValue *value, bool by_user)
{
	MoGivenOption *option = palloc0(sizeof(MoGivenOption));

	option->name = pstrdup(name);
	option->kind = option_kind(name);
	if (by_user && option->kind != MO_OPTION_PLAIN)
		check_right_to_files(name);
	if (option->kind == MO_OPTION_SECRET)
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
	List	   *options;		/* of MoGivenOption */
	bool		by_user;		/* a user gives them now; else the catalog */
} ReadContext;

static void
collect_option(const char *name, JsonbValue *value, void *context)
{
	ReadContext *read = context;

	read->options = lappend(read->options,
							read_option(name, value, read->by_user));
}

List *
mo_options_read(const char *json, bool by_user)
{
	ReadContext read = {NIL, by_user};

	if (json && json[0] != '\0')
		each_member("publisher options", json, collect_option, &read);
	return read.options;
}

void
mo_options_forget(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		MoGivenOption *option = lfirst(lc);

		explicit_bzero(option->value, strlen(option->value));
	}
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
