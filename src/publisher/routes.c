/*-------------------------------------------------------------------------
 *
 * routes.c
 *	  From the contract id stamped on an event to where it goes.
 *
 * Called while rows are decoded.  The scribe reads the contract; contract
 * rows are immutable, so an answer holds for the life of the process and at
 * every re-decode.  The first use of a contract makes sure that its topic
 * exists with the partitions the contract says.
 *
 * A topic that is missing and may not be created yet stops the stream in a
 * state that names it, for later events must not overtake; brokers that are
 * down and rights that are missing come by and by.  What the brokers refuse
 * (settings, a broker's policy, more replicas than there are brokers, another
 * number of partitions than the topic has) is waited for as long as
 * mesh_outbox.topic_timeout says, lest one team's mistake stop the events of
 * all: then its events become dead letters.  A name that no broker accepts is
 * not waited for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "publisher/publisher.h"

/*
 * How often a topic is looked at: while it is waited for; and at most, once
 * it was found or given up.
 */
#define TOPIC_RETRY_MS	2000
#define TOPIC_LOOK_MS	10000

/* A topic that was found: its other contracts need not look at once, too. */
typedef struct KnownTopic
{
	char		name[250];		/* hash key; Kafka allows 249 characters */
	int			partitions;
	TimestampTz looked_at;
} KnownTopic;

static HTAB *routes;
static HTAB *topics;

static MoRoute *
new_route(int64 contract_id)
{
	MoRoute    *route;
	bool		found;

	if (routes == NULL)
	{
		HASHCTL		ctl = {
			.keysize = sizeof(int64),
			.entrysize = sizeof(MoRoute),
			.hcxt = TopMemoryContext,
		};

		routes = hash_create("mesh_outbox routes", 64, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	route = hash_search(routes, &contract_id, HASH_ENTER, &found);
	if (!found)
	{
		memset(route, 0, sizeof(*route));
		route->contract_id = contract_id;
	}
	return route;
}

static void
ask_contract(MoPublisher *pub, MoRoute *route)
{
	StringInfoData body;

	initStringInfo(&body);
	pq_sendint64(&body, route->contract_id);
	pub->contract_answer = &route->info;
	route->info.contract_id = 0;
	mo_publisher_ask(pub, MO_ASK_CONTRACT, &body);
	while (pub->contract_answer != NULL)
		mo_publisher_wait(pub, 1000);
	pfree(body.data);
}

/*
 * A message set larger than the topic takes is refused as a whole, however
 * small the events in it: the library must make none.
 */
static void
obey_limit(MoPublisher *pub, int64 limit)
{
	if (limit <= 0 || limit >= mo_producer_batch_limit(pub->producer))
		return;
	while (pub->nflight > 0)
		mo_publisher_wait(pub, 1000);
	/* What was in flight may have found a smaller one. */
	if (limit < mo_producer_batch_limit(pub->producer))
		mo_recover_limit_batches(pub, limit);
}

/* ---------------------------------------------------------------------
 * Topics
 * ---------------------------------------------------------------------
 */

/* How a look at a topic ended. */
typedef struct TopicLook
{
	bool		ready;
	MoTopicVerdict verdict;		/* when it is not */
	char	   *problem;		/* for people */
	const char *remedy;
} TopicLook;

static TopicLook
wrong_partitions(const MoTopicSpec *spec, int partitions)
{
	return (TopicLook) {
		.verdict = MO_TOPIC_REFUSED,
		.problem = psprintf("topic \"%s\" has %d partitions, its contract says %d",
							spec->name, partitions, spec->partitions),
		.remedy = "Events of one key would change their partition. Propose a contract version with the new number, or give the topic the number the contract says.",
	};
}

static TopicLook
not_there(const MoTopicSpec *spec, const MoKafkaError *error)
{
	TopicLook	look = {
		.verdict = mo_producer_topic_verdict(error),
		.problem = psprintf("topic \"%s\" does not exist and could not be created: %s",
							spec->name, error->message),
	};

	look.remedy = look.verdict == MO_TOPIC_REFUSED ?
		"Create the topic with settings that the brokers take, or propose a contract version with such settings (alter_product)." :
		"Create the topic, or let the publisher's principal create topics.";
	return look;
}

static KnownTopic *
known_topic(const char *name, HASHACTION action)
{
	if (topics == NULL)
	{
		HASHCTL		ctl = {
			.keysize = sizeof(((KnownTopic *) NULL)->name),
			.entrysize = sizeof(KnownTopic),
			.hcxt = TopMemoryContext,
		};

		topics = hash_create("mesh_outbox topics", 64, &ctl,
							 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	return hash_search(topics, name, action, NULL);
}

static bool
was_just_found(const MoTopicSpec *spec)
{
	const KnownTopic *topic = known_topic(spec->name, HASH_FIND);

	return topic != NULL && topic->partitions == spec->partitions &&
		!TimestampDifferenceExceeds(topic->looked_at, GetCurrentTimestamp(),
									TOPIC_LOOK_MS);
}

static void
remember_found(const MoTopicSpec *spec)
{
	KnownTopic *topic = known_topic(spec->name, HASH_ENTER);

	topic->partitions = spec->partitions;
	topic->looked_at = GetCurrentTimestamp();
}

/*
 * Looks once.  The pipeline may have to recover meanwhile, which needs the
 * same lane: it must neither find it busy nor overwrite the result.
 */
static TopicLook
look_at_topic(MoPublisher *pub, const MoTopicSpec *spec)
{
	const MoKafkaError *result;
	char		id[64];
	int			partitions;

	pub->running = false;
	mo_producer_start_ensure_topic(pub->producer, spec);
	result = mo_publisher_await(pub, MO_LANE_CONTROL);
	pub->running = true;
	if (result->status != MO_KAFKA_OK)
		return not_there(spec, result);
	partitions = mo_producer_topic_partitions(pub->producer, id, sizeof(id));
	if (partitions != spec->partitions)
		return wrong_partitions(spec, partitions);
	return (TopicLook) {.ready = true};
}

/*
 * A broker that was away for a moment meanwhile has left the state of a
 * publisher that does not run.
 */
static void
show_streaming(MoPublisher *pub)
{
	if (pub->slot->state == MO_STATE_WAITING_TOPIC ||
		pub->slot->state == MO_STATE_STARTING)
		mo_publisher_set_state(pub, MO_STATE_STREAMING, NULL, NULL);
}

/* From now on its events are dead letters; now and then it is looked again. */
static void
refuse_topic(MoPublisher *pub, MoRoute *route, const TopicLook *look)
{
	if (route->refusal == NULL)
		ereport(LOG,
				(errmsg("publisher \"%s\" puts the events of contract " INT64_FORMAT " to the dead letters: %s",
						pub->hello.name, route->contract_id, look->problem),
				 errhint("%s", look->remedy)));
	else
		pfree(route->refusal);
	route->reason = look->verdict == MO_TOPIC_IMPOSSIBLE ? "invalid_topic" : "topic_refused";
	route->refusal = MemoryContextStrdup(TopMemoryContext, look->problem);
	route->look_at = mo_publisher_ticks() + TOPIC_LOOK_MS;
	show_streaming(pub);
}

/*
 * How much longer to wait for a topic that is refused since "since", in ms.
 * Whoever has many such topics must not stop the others by them: of its time a
 * publisher spends a tenth at most on it.
 */
static long
patience(const MoRoute *route, int64 since)
{
	static int64 rested = 0;
	int64		now = mo_publisher_ticks();
	int64		left;

	if (route->refusal != NULL || since < rested)
		return 0;
	left = mo_guc_topic_timeout * INT64CONST(1000) - (now - since);
	if (left <= 0)
		rested = now + 9 * (now - since);
	return Max(left, 0);
}

/* Makes sure of the topic; returns when it can be used or is given up. */
static void
prepare_topic(MoPublisher *pub, MoRoute *route)
{
	MoTopicSpec spec = {
		.name = route->info.topic,
		.partitions = route->info.partitions,
		.replication = route->info.replication,
		.config = route->info.topic_config,
	};
	int64		since = mo_publisher_ticks();
	TopicLook	look;

	if (was_just_found(&spec))
	{
		route->topic = mo_producer_topic(pub->producer, spec.name);
		return;
	}
	while (look = look_at_topic(pub, &spec), !look.ready)
	{
		long		wait = TOPIC_RETRY_MS;

		if (look.verdict == MO_TOPIC_IMPOSSIBLE)
			wait = 0;
		else if (look.verdict == MO_TOPIC_REFUSED)
			wait = Min(wait, patience(route, since));
		else
			since = mo_publisher_ticks();
		if (wait == 0)
		{
			refuse_topic(pub, route, &look);
			return;
		}
		mo_publisher_set_state(pub, MO_STATE_WAITING_TOPIC, look.problem,
							   look.remedy);
		pfree(look.problem);
		mo_publisher_wait_until(pub, wait);
	}
	remember_found(&spec);
	obey_limit(pub, mo_producer_topic_limit(pub->producer));
	show_streaming(pub);
	route->topic = mo_producer_topic(pub->producer, spec.name);
}

static bool
is_due(const MoRoute *route)
{
	return !route->loaded ||
		(route->info.found && route->topic == NULL &&
		 mo_publisher_ticks() >= route->look_at);
}

MoRoute *
mo_route_find(MoPublisher *pub, int64 contract_id)
{
	MoRoute    *route = new_route(contract_id);

	if (is_due(route))
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		if (!route->loaded)
			ask_contract(pub, route);
		MemoryContextSwitchTo(old);
		if (route->info.found)
			prepare_topic(pub, route);
		route->loaded = true;
	}
	return route->info.found ? route : NULL;
}
