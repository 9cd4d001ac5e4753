/*-------------------------------------------------------------------------
 *
 * headers.h
 *	  The headers that a row gives its event.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_OUTBOX_HEADERS_H
#define MO_OUTBOX_HEADERS_H

#include "utils/jsonb.h"

/* Why they cannot be sent, without a full stop; NULL when they can. */
extern const char *mo_headers_fault(Jsonb *headers);

#endif
