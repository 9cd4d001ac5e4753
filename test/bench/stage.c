/*-------------------------------------------------------------------------
 *
 * stage.c
 *	  What librdkafka alone does with the records of the benchmark.
 *
 *	  stage produce BROKERS TOPIC PARTITIONS EVENTS HEADERS BATCH
 *	  stage read BROKERS TOPIC PARTITIONS HEADER FILE begin|end
 *
 * "produce" is the baseline: a loop that sends the records which the publisher
 * makes out of rows, settings and headers as its own, with nothing before it:
 * no WAL, no JSON, no database.  BATCH events go into a transaction; 0 is
 * without transactions.  BROKERS "embedded" starts librdkafka's in-process
 * broker.  Prints one line of JSON; processor time of the broker's thread is
 * left out.
 *
 * "read" is the consumer whose clock latency ends with: read-committed, from
 * the topic's begin or end.  Says "ready" when it is there, then writes one line of
 * fixed length per record, the header that names the event and microseconds
 * since 1970, until it is told SIGTERM.  A consumer in Python would be the
 * bottleneck at 10,000 events a second.
 *
 * Errors end the program with a message and status 1.
 *
 *-------------------------------------------------------------------------
 */
#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define ID_LENGTH		36
#define CALL_TIMEOUT_MS 60000

/* Keeps the queues as short as the publisher keeps its own. */
#define QUEUE_MESSAGES	"200000"
#define QUEUE_KBYTES	"65536"

typedef struct Header
{
	const char *name;
	const char *value;
} Header;

/* The first three are the minimal set, all eight the standard one. */
static const Header headers[] = {
	{"content-type", "application/json"},
	{"ce_id", "019a0000-0000-7000-8000-000000000000"},
	{"ce_type", "bench.orders.OrderPlaced.v1"},
	{"ce_specversion", "1.0"},
	{"ce_source", "urn:mesh-outbox:bench.orders"},
	{"ce_time", "2026-01-01T00:00:00.000000Z"},
	{"ce_dataschema", "urn:mesh-outbox:bench.orders:OrderPlaced:1.0.0"},
	{"ce_sequence", "0000000001A2B3C4-00000001"},
};

static volatile sig_atomic_t stopped;

static void
stop(int signo)
{
	(void) signo;
	stopped = 1;
}

static void
fail(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fprintf(stderr, "stage: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static void
check(rd_kafka_error_t *error, const char *call)
{
	if (error)
		fail("%s: %s", call, rd_kafka_error_string(error));
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		reason[256];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) !=
		RD_KAFKA_CONF_OK)
		fail("%s", reason);
}

static rd_kafka_t *
handle(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char		reason[256];
	rd_kafka_t *rk = rd_kafka_new(type, conf, reason, sizeof(reason));

	if (rk == NULL)
		fail("%s", reason);
	return rk;
}

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---------------------------------------------------------------------
 * produce
 * ---------------------------------------------------------------------
 */

typedef struct Producer
{
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	int			partitions;
	int			nheaders;
	long		undelivered;
	char		payload[331];
} Producer;

/* Takes delivery reports as the publisher does, as events. */
static void
serve(Producer *p, int timeout_ms)
{
	rd_kafka_event_t *event;

	while ((event = rd_kafka_queue_poll(p->queue, timeout_ms)) != NULL)
	{
		const rd_kafka_message_t *message;

		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
			fail("%s", rd_kafka_event_error_string(event));
		while ((message = rd_kafka_event_message_next(event)) != NULL)
		{
			if (message->err)
				fail("a record: %s", rd_kafka_err2str(message->err));
			p->undelivered--;
		}
		rd_kafka_event_destroy(event);
		timeout_ms = 0;
	}
}

static void
produce_one(Producer *p, long number)
{
	char		key[32];
	int			length = snprintf(key, sizeof(key), "%ld", number);
	rd_kafka_resp_err_t code;

	do
	{
		rd_kafka_headers_t *list = rd_kafka_headers_new(p->nheaders);

		for (int i = 0; i < p->nheaders; i++)
			rd_kafka_header_add(list, headers[i].name, -1, headers[i].value,
								strlen(headers[i].value));
		code = rd_kafka_producev(p->rk, RD_KAFKA_V_RKT(p->topic),
								 RD_KAFKA_V_PARTITION((int) (number % p->partitions)),
								 RD_KAFKA_V_KEY(key, (size_t) length),
								 RD_KAFKA_V_VALUE(p->payload, sizeof(p->payload) - 1),
								 RD_KAFKA_V_HEADERS(list), RD_KAFKA_V_END);
		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			rd_kafka_headers_destroy(list);
		if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
			serve(p, 10);
	} while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("producing: %s", rd_kafka_err2str(code));
	p->undelivered++;
}

static void
drain(Producer *p)
{
	while (p->undelivered > 0)
		serve(p, 10);
}

/* Processor time of this process without that of the in-process broker. */
static double
process_cpu(void)
{
	double		total = seconds(CLOCK_PROCESS_CPUTIME_ID);
	DIR		   *tasks = opendir("/proc/self/task");
	struct dirent *entry;

	while (tasks && (entry = readdir(tasks)) != NULL)
	{
		char		path[300];
		char		name[32] = "";
		double		ns = 0;
		FILE	   *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		if (fgets(name, sizeof(name), f) == NULL)
			name[0] = '\0';
		fclose(f);
		if (strncmp(name, "rdk:mock", 8) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", entry->d_name);
		if ((f = fopen(path, "r")) == NULL)
			continue;
		if (fscanf(f, "%lf", &ns) == 1)
			total -= ns / 1e9;
		fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return total;
}

static rd_kafka_conf_t *
producer_conf(const char *brokers, long batch)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	set(conf, "bootstrap.servers", brokers);
	set(conf, "linger.ms", "0");
	set(conf, "retry.backoff.ms", "10");
	set(conf, "socket.nagle.disable", "true");
	set(conf, "queue.buffering.max.messages", QUEUE_MESSAGES);
	set(conf, "queue.buffering.max.kbytes", QUEUE_KBYTES);
	set(conf, "enable.idempotence", "true");
	if (batch > 0)
		set(conf, "transactional.id", "mesh_outbox-bench-stage");
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	return conf;
}

/* The events, in transactions if asked; delivered and committed on return. */
static void
produce_all(Producer *p, long events, long batch)
{
	for (long i = 0; i < events; i++)
	{
		if (batch > 0 && i % batch == 0)
			check(rd_kafka_begin_transaction(p->rk), "begin");
		produce_one(p, i);
		if (i % 1000 == 0)
			serve(p, 0);
		if (batch > 0 && ((i + 1) % batch == 0 || i + 1 == events))
		{
			drain(p);
			check(rd_kafka_commit_transaction(p->rk, CALL_TIMEOUT_MS), "commit");
		}
	}
	drain(p);
}

static void
produce(const char *brokers, const char *topic, int partitions, long events,
		int nheaders, long batch)
{
	Producer	p = {.partitions = partitions,.nheaders = nheaders};
	rd_kafka_t *host = NULL;
	double		started,
				main_cpu,
				cpu;

	if (strcmp(brokers, "embedded") == 0)
	{
		rd_kafka_conf_t *host_conf = rd_kafka_conf_new();
		rd_kafka_mock_cluster_t *cluster;

		set(host_conf, "log_level", "0");
		host = handle(RD_KAFKA_PRODUCER, host_conf);
		cluster = rd_kafka_mock_cluster_new(host, 1);
		(void) rd_kafka_mock_topic_create(cluster, topic, partitions, 1);
		brokers = rd_kafka_mock_cluster_bootstraps(cluster);
	}
	memset(p.payload, 'n', sizeof(p.payload) - 1);
	p.rk = handle(RD_KAFKA_PRODUCER, producer_conf(brokers, batch));
	p.queue = rd_kafka_queue_get_main(p.rk);
	p.topic = rd_kafka_topic_new(p.rk, topic, NULL);
	if (batch > 0)
		check(rd_kafka_init_transactions(p.rk, CALL_TIMEOUT_MS), "init");
	/* Metadata and connections are no part of it. */
	produce_all(&p, 100, batch);

	started = seconds(CLOCK_MONOTONIC);
	main_cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
	cpu = process_cpu();
	produce_all(&p, events, batch);
	printf("{\"events\": %ld, \"seconds\": %.6f, \"main\": %.6f, \"cpu\": %.6f,"
		   " \"librdkafka\": \"%s\"}\n", events,
		   seconds(CLOCK_MONOTONIC) - started,
		   seconds(CLOCK_THREAD_CPUTIME_ID) - main_cpu,
		   process_cpu() - cpu, rd_kafka_version_str());
}

/* ---------------------------------------------------------------------
 * read
 * ---------------------------------------------------------------------
 */

static void
write_record(FILE *out, const rd_kafka_message_t *message, const char *header)
{
	rd_kafka_headers_t *list;
	const void *value;
	size_t		size;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (rd_kafka_message_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR ||
		rd_kafka_header_get_last(list, header, &value, &size) !=
		RD_KAFKA_RESP_ERR_NO_ERROR || size != ID_LENGTH)
		fail("a record without a header \"%s\" of %d bytes", header, ID_LENGTH);
	fprintf(out, "%.*s %016lld\n", ID_LENGTH, (const char *) value,
			now.tv_sec * 1000000LL + now.tv_nsec / 1000);
}

static rd_kafka_topic_partition_list_t *
places(rd_kafka_t *rk, const char *topic, int partitions, int from_begin)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(partitions);

	for (int i = 0; i < partitions; i++)
	{
		int64_t		low,
					high;

		if (rd_kafka_query_watermark_offsets(rk, topic, i, &low, &high,
											 CALL_TIMEOUT_MS) !=
			RD_KAFKA_RESP_ERR_NO_ERROR)
			fail("no end of %s/%d", topic, i);
		rd_kafka_topic_partition_list_add(list, topic, i)->offset =
			from_begin ? low : high;
	}
	return list;
}

static void
read_topic(const char *brokers, const char *topic, int partitions,
		   const char *header, const char *path, int from_begin)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	FILE	   *out = fopen(path, "w");
	rd_kafka_t *rk;

	if (out == NULL)
		fail("cannot write %s", path);
	set(conf, "bootstrap.servers", brokers);
	set(conf, "group.id", "bench-reader");
	set(conf, "isolation.level", "read_committed");
	set(conf, "enable.auto.commit", "false");
	set(conf, "fetch.min.bytes", "1");
	set(conf, "fetch.wait.max.ms", "500");
	set(conf, "fetch.error.backoff.ms", "1");
	set(conf, "socket.nagle.disable", "true");
	rk = handle(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_assign(rk, places(rk, topic, partitions, from_begin));
	puts("ready");
	fflush(stdout);

	while (!stopped)
	{
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);

		if (message == NULL)
		{
			fflush(out);
			continue;
		}
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			write_record(out, message, header);
		rd_kafka_message_destroy(message);
	}
	fclose(out);
	rd_kafka_consumer_close(rk);
}

int
main(int argc, char **argv)
{
	signal(SIGTERM, stop);
	if (argc == 8 && strcmp(argv[1], "produce") == 0 &&
		atoi(argv[6]) <= (int) (sizeof(headers) / sizeof(headers[0])))
		produce(argv[2], argv[3], atoi(argv[4]), atol(argv[5]), atoi(argv[6]),
				atol(argv[7]));
	else if (argc == 8 && strcmp(argv[1], "read") == 0)
		read_topic(argv[2], argv[3], atoi(argv[4]), argv[5], argv[6],
				   strcmp(argv[7], "begin") == 0);
	else
		fail("usage: produce BROKERS TOPIC PARTITIONS EVENTS HEADERS BATCH |"
			 " read BROKERS TOPIC PARTITIONS HEADER FILE begin|end");
	return 0;
}
