/*-------------------------------------------------------------------------
 *
 * publishers.c
 *	  What publishers.sql needs of the Kafka side: checking options before
 *	  they are stored.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "publisher/producer.h"

PG_FUNCTION_INFO_V1(mesh_outbox_check_publisher);

/* check_publisher(brokers text, options jsonb) */
Datum
mesh_outbox_check_publisher(PG_FUNCTION_ARGS)
{
	char	   *brokers;
	Jsonb	   *options;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("brokers and options must not be NULL")));
	brokers = text_to_cstring(PG_GETARG_TEXT_PP(0));
	options = PG_GETARG_JSONB_P(1);
	mo_producer_check_options(brokers,
							  JsonbToCString(NULL, &options->root,
											 VARSIZE(options)));
	PG_RETURN_VOID();
}
