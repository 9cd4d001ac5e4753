/*-------------------------------------------------------------------------
 *
 * event_id.h
 *	  Identities of events: UUID version 7, ascending within a backend.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_EVENT_ID_H
#define MO_EVENT_ID_H

#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* "now" is the caller's clock reading, so that one serves the whole row. */
extern void mo_event_id_generate(TimestampTz now, pg_uuid_t *id);

#endif							/* MO_EVENT_ID_H */
