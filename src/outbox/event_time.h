/*-------------------------------------------------------------------------
 *
 * event_time.h
 *	  The time of an event, as JSON carries it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_EVENT_TIME_H
#define MO_EVENT_TIME_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

/* Can RFC 3339 say it?  It knows the years 1 to 9999. */
extern bool mo_event_time_is_usual(TimestampTz time);

/* A payload's RFC 3339 date-time; false when the value is none. */
extern bool mo_event_time_read(const JsonbValue *value, TimestampTz *time);

/* Did it happen longer before its insertion than that?  NULL: never. */
extern bool mo_event_time_is_late(TimestampTz time, TimestampTz inserted_at,
								  const Interval *max_lateness);

#endif							/* MO_EVENT_TIME_H */
