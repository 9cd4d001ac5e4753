/*-------------------------------------------------------------------------
 *
 * size.h
 *	  How large an event will be as text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_SIZE_H
#define MO_SIZE_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/jsonb.h"

/* Of a whole event, in bytes; many times what brokers are set to take. */
#define MO_SIZE_LIMIT_MB 64
#define MO_SIZE_LIMIT	(MO_SIZE_LIMIT_MB * INT64CONST(1024) * 1024)

extern int64 mo_size_payload(Jsonb *payload);
extern int64 mo_size_columns(HeapTuple row, TupleDesc desc, AttrNumber payload,
							 const Datum *values, const bool *nulls);

#endif							/* MO_SIZE_H */
