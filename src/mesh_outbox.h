/*-------------------------------------------------------------------------
 *
 * mesh_outbox.h
 *	  Names that SQL, C and the workers share.  Holds no state and no
 *	  prototypes but the SQL schema's name and the limits of identifiers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MESH_OUTBOX_H
#define MESH_OUTBOX_H

#define MO_SCHEMA			"mesh_outbox"
#define MO_LIBRARY			"mesh_outbox"	/* also the output plugin */
#define MO_GUC_PREFIX		"mesh_outbox"

/* The trigger function; its arguments say what an outbox is (plugin.c). */
#define MO_CHECK_FUNCTION	"check_event"

/* The triggers that outboxes.sql makes of it. */
#define MO_CHECK_TRIGGER	"mesh_outbox_check"
#define MO_TRUNCATE_TRIGGER	"mesh_outbox_truncate"

/* Headers that a row may bring along; the publisher has room for no more. */
#define MO_MAX_ROW_HEADERS	32

#endif							/* MESH_OUTBOX_H */
