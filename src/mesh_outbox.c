/*-------------------------------------------------------------------------
 *
 * mesh_outbox.c
 *	  Entry point of the library, and the map of the program.
 *
 * The path of an event, and the directory that holds each step:
 *
 *	  INSERT -> check (outbox/, contract/) -> heap and WAL
 *	  WAL -> decode -> plan -> Kafka transaction {events + marker}
 *		  -> ledger -> slot advance (publisher/)
 *
 * Dependencies point one way: publisher/ and outbox/ use contract/;
 * contract/ knows neither Kafka nor WAL.  rdkafka.h is included by
 * publisher/producer*.c only, replication headers by publisher/decode.c and
 * publisher/plugin.c only, and PG_VERSION_NUM is read in compat.h only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "contract/compare.h"
#include "contract/schema.h"
#include "guc.h"
#include "outbox/protect.h"
#include "publisher/hooks.h"
#include "publisher/launcher.h"
#include "shmem.h"

MO_MODULE_MAGIC;

void
_PG_init(void)
{
	mo_compare_init();
	mo_guc_init();
	mo_shmem_init();
	mo_hooks_init();
	mo_protect_init();
	mo_registry_init();
	mo_launcher_init();
}
