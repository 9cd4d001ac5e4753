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
 * A topic that is missing and may not be created, or has another number of
 * partitions, stops the stream in a state that names it: later events must
 * not overtake.  A name no broker accepts is no such case: its events become
 * dead letters.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "publisher/publisher.h"

#define TOPIC_RETRY_MS 2000

static HTAB *routes;

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
	if (limit <= 0 || !mo_producer_limit_batches(pub->producer, limit))
		return;
	ereport(LOG,
			(errmsg("publisher \"%s\" sends at most " INT64_FORMAT " bytes at a time from now on",
					pub->hello.name, limit)));
	mo_recover_renew(pub);
}

/* Makes sure of the topic; returns when it can be used or never can. */
static void
prepare_topic(MoPublisher *pub, MoRoute *route)
{
	MoTopicSpec spec = {
		.name = route->info.topic,
		.partitions = route->info.partitions,
		.replication = route->info.replication,
		.config = route->info.topic_config,
	};

	for (;;)
	{
		const MoKafkaError *result;
		char		id[64];
		int			partitions;

		/*
		 * The pipeline may have to recover, which needs the same lane: it
		 * must neither find it busy nor overwrite the result.
		 */
		pub->running = false;
		mo_producer_start_ensure_topic(pub->producer, &spec);
		result = mo_publisher_await(pub, MO_LANE_CONTROL);
		pub->running = true;
		if (result->status == MO_KAFKA_OK)
		{
			partitions = mo_producer_topic_partitions(pub->producer,
													  id, sizeof(id));
			if (partitions == route->info.partitions)
				break;
			mo_publisher_set_state(pub, MO_STATE_WAITING_TOPIC,
								   psprintf("topic \"%s\" has %d partitions, its contract says %d",
											spec.name, partitions,
											spec.partitions),
								   "Events of one key would change their partition. Propose a contract version with the new number, or give the topic the number the contract says.");
		}
		else if (mo_producer_topic_impossible(result->code))
		{
			route->refusal = MemoryContextStrdup(TopMemoryContext,
												 psprintf("The topic \"%s\" cannot exist: %s.",
														  spec.name,
														  result->message));
			return;
		}
		else
			mo_publisher_set_state(pub, MO_STATE_WAITING_TOPIC,
								   psprintf("topic \"%s\" does not exist and could not be created: %s",
											spec.name, result->message),
								   "Create the topic, or let the publisher's principal create topics.");
		mo_publisher_wait_until(pub, TOPIC_RETRY_MS);
	}
	obey_limit(pub, mo_producer_topic_limit(pub->producer));
	if (pub->slot->state == MO_STATE_WAITING_TOPIC)
		mo_publisher_set_state(pub, MO_STATE_STREAMING, NULL, NULL);
	route->topic = mo_producer_topic(pub->producer, spec.name);
}

/*
 * The route of a contract; NULL when there is no such contract.  May wait for
 * the scribe and for Kafka.
 */
MoRoute *
mo_route_find(MoPublisher *pub, int64 contract_id)
{
	MoRoute    *route = new_route(contract_id);

	if (!route->loaded)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		ask_contract(pub, route);
		if (route->info.found)
			prepare_topic(pub, route);
		route->loaded = true;
		MemoryContextSwitchTo(old);
	}
	return route->info.found ? route : NULL;
}
