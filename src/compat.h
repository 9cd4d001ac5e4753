/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL 15, 16, 17 and 18.
 *
 * The only file that may look at PG_VERSION_NUM.  Every shim has the newest
 * server's signature.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_COMPAT_H
#define MO_COMPAT_H

#include "postgres.h"
#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "mesh_outbox needs PostgreSQL 15 or newer"
#endif

/* 18: PG_MODULE_MAGIC_EXT carries name and version. */
#ifdef PG_MODULE_MAGIC_EXT
#define MO_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "mesh_outbox", .version = MO_VERSION)
#else
#define MO_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 15 declares neither of these for loadable modules. */
#if PG_VERSION_NUM < 160000
extern PGDLLEXPORT void _PG_init(void);
#endif

/* 17: RelFileLocator replaces RelFileNode (16). */
#if PG_VERSION_NUM < 160000
#define rlocator_compat(rel) ((rel)->rd_node.relNode)
#else
#define rlocator_compat(rel) ((rel)->rd_locator.relNumber)
#endif

#endif							/* MO_COMPAT_H */
