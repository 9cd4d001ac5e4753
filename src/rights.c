/*-------------------------------------------------------------------------
 *
 * rights.c
 *	  Who is calling: the language mesh_outbox_plpgsql.
 *
 * The functions that manage the mesh write tables their callers may not
 * write, so they run with the rights of their owner, and each has to ask
 * what its caller may do.  SECURITY DEFINER cannot answer that: it has
 * replaced current_user before the first statement runs, and both
 * session_user and the "outer" user name a victim when a hostile SECURITY
 * DEFINER function, an index expression under VACUUM or the trigger of a
 * foreign key's cascade makes the call.
 *
 * So the management functions are written in a language of their own: its
 * handler notes the effective user of the call, switches to the function's
 * owner as SECURITY DEFINER does, and hands over to PL/pgSQL.  The language
 * is not trusted: only a superuser can write functions in it.
 *
 * Not for procedures that commit, which must not change the user.
 *
 * The other way round, code that others wrote must not have our rights:
 * mo_rights_confine().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "rights.h"

/*
 * The call that is running, outermost first: for whom, and as whom.  Both
 * invalid outside of any.  Restored on every way out of a call, by error
 * too; the user id itself is put back by the (sub)transaction's abort then.
 */
static Oid	caller = InvalidOid;
static Oid	acting_as = InvalidOid;

PG_FUNCTION_INFO_V1(mesh_outbox_call_plpgsql);
PG_FUNCTION_INFO_V1(mesh_outbox_validate_plpgsql);
PG_FUNCTION_INFO_V1(mesh_outbox_caller);

static Oid
function_owner(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

static PGFunction
plpgsql_function(const char *name)
{
	return load_external_function("$libdir/plpgsql", name, true, NULL);
}

/* The language's call handler. */
Datum
mesh_outbox_call_plpgsql(PG_FUNCTION_ARGS)
{
	Oid			outer_caller = caller;
	Oid			outer_acting_as = acting_as;
	Oid			owner = function_owner(fcinfo->flinfo->fn_oid);
	static PGFunction handler = NULL;
	Oid			user;
	int			sec_context;
	Datum		result;

	if (handler == NULL)
		handler = plpgsql_function("plpgsql_call_handler");
	GetUserIdAndSecContext(&user, &sec_context);

	/* What our own code calls, it calls for the one who called it. */
	if (!OidIsValid(caller) || user != acting_as)
		caller = user;
	acting_as = owner;
	SetUserIdAndSecContext(owner, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	PG_TRY();
	{
		result = handler(fcinfo);
	}
	PG_FINALLY();
	{
		caller = outer_caller;
		acting_as = outer_acting_as;
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, sec_context);
	return result;
}

/*
 * The language's validator.  PL/pgSQL's own would do, but pg_upgrade re-creates
 * a language only with support functions that come from the same extension.
 */
Datum
mesh_outbox_validate_plpgsql(PG_FUNCTION_ARGS)
{
	return plpgsql_function("plpgsql_validator") (fcinfo);
}

bool
mo_rights_acting(void)
{
	return OidIsValid(caller) && GetUserId() == acting_as;
}

Oid
mo_rights_caller(void)
{
	return mo_rights_acting() ? caller : GetUserId();
}

Datum
mesh_outbox_caller(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(mo_rights_caller());
}

/* ---------------------------------------------------------------------
 * Code that others wrote
 * ---------------------------------------------------------------------
 */

void
mo_rights_confine(Oid role, MoConfinement *before)
{
	before->read_only = XactReadOnly;
	before->settings = NewGUCNestLevel();
	GetUserIdAndSecContext(&before->user, &before->sec_context);
	SetUserIdAndSecContext(role,
						   before->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	XactReadOnly = true;
}

void
mo_rights_release(const MoConfinement *before)
{
	XactReadOnly = before->read_only;
	AtEOXact_GUC(false, before->settings);
	SetUserIdAndSecContext(before->user, before->sec_context);
}
