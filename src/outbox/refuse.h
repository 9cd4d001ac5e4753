/*-------------------------------------------------------------------------
 *
 * refuse.h
 *	  The errors that a producer of events may see.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_REFUSE_H
#define MO_REFUSE_H

#include "datatype/timestamp.h"

#include "compat.h"
#include "outbox/registry.h"

/* The row that is refused, as far as the check has come with it. */
typedef struct MoRefusedRow
{
	Relation	rel;
	MoTable    *table;
	const char *event_type;
	const MoContract *contract;
	Jsonb	   *payload;
} MoRefusedRow;

pg_noreturn extern void mo_refuse_change(Relation rel, const char *command);
pg_noreturn extern void mo_refuse_unready_publisher(Relation rel,
													const MoTable *table);
pg_noreturn extern void mo_refuse_unlogged(Relation rel);
pg_noreturn extern void mo_refuse_foreign(Relation rel);
pg_noreturn extern void mo_refuse_missing(Relation rel, const MoTable *table,
										  MoColumn column);

/* No contract for this event type and major (or MO_MAJOR_PINNED). */
pg_noreturn extern void mo_refuse_event_type(const MoRefusedRow *row,
											 int32 major);

/* The payload breaks the contract's schema; "first" is what is told. */
pg_noreturn extern void mo_refuse_payload(const MoRefusedRow *row,
										  const MoViolation *first);

/* The payload has no usable key or time; "value" is NULL if none at all. */
pg_noreturn extern void mo_refuse_key(const MoRefusedRow *row,
									  const JsonbValue *value);
pg_noreturn extern void mo_refuse_event_time(const MoRefusedRow *row,
											 const JsonbValue *value);

pg_noreturn extern void mo_refuse_other_key(const MoRefusedRow *row,
											const char *given,
											const char *expected);
/* The key is not as its own schema wants it. */
pg_noreturn extern void mo_refuse_key_schema(const MoRefusedRow *row,
											 const MoViolation *first);
pg_noreturn extern void mo_refuse_time(const MoRefusedRow *row,
									   MoColumn column, TimestampTz time);
pg_noreturn extern void mo_refuse_late(const MoRefusedRow *row,
									   TimestampTz time);

/* It could not be published, nor be kept as a dead letter. */
pg_noreturn extern void mo_refuse_size(const MoRefusedRow *row);

/* "detail" is a sentence: what is wrong with the column "headers". */
pg_noreturn extern void mo_refuse_headers(const MoRefusedRow *row,
										  const char *detail);

#endif							/* MO_REFUSE_H */
