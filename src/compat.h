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

/* 16: VARDATA and its kin have left postgres.h (d952373a987). */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

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
struct OutputPluginCallbacks;
extern PGDLLEXPORT void _PG_init(void);
extern PGDLLEXPORT void _PG_output_plugin_init(struct OutputPluginCallbacks *cb);
#endif

/* 17: changes carry a HeapTuple, before that a ReorderBufferTupleBuf. */
#if PG_VERSION_NUM < 170000
#define mo_compat_change_tuple(buf) (&(buf)->tuple)
#else
#define mo_compat_change_tuple(buf) (buf)
#endif

/* 16: files of relations are RelFileLocators, before that RelFileNodes. */
#if PG_VERSION_NUM < 160000
#include "storage/relfilenode.h"
#define RelFileLocator RelFileNode
#define RelFileLocatorEquals(a, b) RelFileNodeEquals(a, b)
#define MO_FILE_DATABASE(file) ((file).dbNode)
#define MO_FILE_NUMBER(file) ((file).relNode)
#define MO_CREATED_FILE(create) ((create)->rnode)
#define mo_compat_change_file(change) (&(change)->data.tp.relnode)
#else
#include "storage/relfilelocator.h"
#define MO_FILE_DATABASE(file) ((file).dbOid)
#define MO_FILE_NUMBER(file) ((file).relNumber)
#define MO_CREATED_FILE(create) ((create)->rlocator)
#define mo_compat_change_file(change) (&(change)->data.tp.rlocator)
#endif

/* 17: slots know "failover" and "synced". */
#if PG_VERSION_NUM < 170000
#define mo_compat_slot_create(name, persistency) \
	ReplicationSlotCreate(name, true, persistency, false)
#else
#define mo_compat_slot_create(name, persistency) \
	ReplicationSlotCreate(name, true, persistency, false, false, false)
#endif

/* 17: a resource owner, or nobody, owns the set; before, a memory context. */
#if PG_VERSION_NUM < 170000
#define mo_compat_wait_event_set(n) CreateWaitEventSet(TopMemoryContext, n)
#else
#define mo_compat_wait_event_set(n) CreateWaitEventSet(NULL, n)
#endif

/* 18: acquiring can check for invalidation itself; we look first. */
#if PG_VERSION_NUM < 180000
#define mo_compat_slot_acquire(name) ReplicationSlotAcquire(name, true)
#else
#define mo_compat_slot_acquire(name) ReplicationSlotAcquire(name, true, false)
#endif

/* 16: an invalidated slot says why; 15 only forgets its restart_lsn. */
#if PG_VERSION_NUM < 160000
#define mo_compat_slot_invalidated(slot) \
	(XLogRecPtrIsInvalid((slot)->data.restart_lsn))
#else
#define mo_compat_slot_invalidated(slot) \
	((slot)->data.invalidated != RS_INVAL_NONE || \
	 XLogRecPtrIsInvalid((slot)->data.restart_lsn))
#endif

/* 16: one function for all kinds of objects (afbfc02983f). */
#if PG_VERSION_NUM < 160000
#define mo_database_ownercheck(database, role) \
	pg_database_ownercheck(database, role)
#else
#define mo_database_ownercheck(database, role) \
	object_ownercheck(DatabaseRelationId, database, role)
#endif

/* 18: pg_noreturn stands before the declaration. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 17: Abs() is no more. */
#ifndef Abs
#define Abs(x) ((x) >= 0 ? (x) : -(x))
#endif

/* 18: base64 is made of bytes. */
#if PG_VERSION_NUM < 180000
#define mo_compat_b64_decode(source, length, target, size) \
	pg_b64_decode(source, length, target, size)
#else
#define mo_compat_b64_decode(source, length, target, size) \
	pg_b64_decode(source, length, (uint8 *) (target), size)
#endif

/* 18: a deferrable primary key can be asked for. */
#if PG_VERSION_NUM < 180000
#define mo_compat_primary_key_index(relation) RelationGetPrimaryKeyIndex(relation)
#else
#define mo_compat_primary_key_index(relation) RelationGetPrimaryKeyIndex(relation, false)
#endif

/*
 * 16: actions of the JSON parser return a result instead of nothing.
 * 17: a lexer is set up in a struct of the caller's, or allocated for NULL.
 */
#if PG_VERSION_NUM < 160000
#define MoJsonResult void
#define MO_JSON_CONTINUE return
#else
#define MoJsonResult JsonParseErrorType
#define MO_JSON_CONTINUE return JSON_SUCCESS
#endif
#if PG_VERSION_NUM < 170000
#define mo_json_lexer(json) makeJsonLexContext(json, true)
#else
#define mo_json_lexer(json) makeJsonLexContext(NULL, json, true)
#endif

#endif							/* MO_COMPAT_H */
