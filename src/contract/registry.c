/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  Schemas registered in the catalog, for references to them.
 *
 * The compiler asks through mo_schema_load_hook; the answer comes from the
 * table mesh_outbox.schema_document and from the dictionary's terms.  Runs
 * SQL, so never in a function that calls itself immutable.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "contract/schema.h"

/* In the caller's memory context; NULL if the URI is not registered. */
static Jsonb *
load_document(const char *uri)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(uri)};
	Jsonb	   *document = NULL;

	SPI_connect();
	if (SPI_execute_with_args("SELECT mesh_outbox.find_schema($1)", 1, types,
							  values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look up the schema \"%s\"", uri);
	if (SPI_processed > 0)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
		{
			MemoryContext spi = MemoryContextSwitchTo(caller);

			document = DatumGetJsonbPCopy(value);
			MemoryContextSwitchTo(spi);
		}
	}
	SPI_finish();
	return document;
}

void
mo_registry_init(void)
{
	mo_schema_load_hook = load_document;
}
