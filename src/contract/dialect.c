/*-------------------------------------------------------------------------
 *
 * dialect.c
 *	  Drafts and vocabularies: which keywords a "$schema" brings with it.
 *
 * 2020-12 and draft-07 are built in; other published drafts are refused by
 * their name.  Any other URI is a custom meta-schema, which must be
 * registered: its $vocabulary says which keywords count.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/compile.h"

#define URI_2020		"https://json-schema.org/draft/2020-12/schema"
#define URI_DRAFT7		"http://json-schema.org/draft-07/schema"
#define URI_VOCABULARY	"https://json-schema.org/draft/2020-12/vocab/"

static const MoDialect draft2020 = {
	URI_2020, MO_DRAFT2020, MO_V_ALL, false, NULL
};
static const MoDialect draft7 = {
	URI_DRAFT7, MO_DRAFT7, MO_V_ALL & ~MO_V_UNEVALUATED, false, NULL
};

static const struct
{
	const char *part;
	const char *name;
}			unsupported[] = {
	{"json-schema.org/draft/2019-09/", "2019-09"},
	{"json-schema.org/draft-06/", "draft-06"},
	{"json-schema.org/draft-05/", "draft-05"},
	{"json-schema.org/draft-04/", "draft-04"},
	{"json-schema.org/draft-03/", "draft-03"},
	{"json-schema.org/draft-02/", "draft-02"},
	{"json-schema.org/draft-01/", "draft-01"},
	{"json-schema.org/draft/next/", "draft-next"},
	{"json-schema.org/v1/", "v1"}
};

static const struct
{
	const char *name;
	int			bits;
}			vocabularies[] = {
	{"core", MO_V_CORE},
	{"applicator", MO_V_APPLICATOR},
	{"unevaluated", MO_V_UNEVALUATED},
	{"validation", MO_V_VALIDATION},
	{"meta-data", MO_V_METADATA},
	{"format-annotation", MO_V_FORMAT},
	{"format-assertion", MO_V_FORMAT},
	{"content", MO_V_CONTENT}
};

const MoDialect *
mo_dialect_default(void)
{
	return &draft2020;
}

static const MoDialect *
built_in_dialect(const char *uri)
{
	if (strcmp(uri, URI_2020) == 0)
		return &draft2020;
	if (strcmp(uri, URI_DRAFT7) == 0 ||
		strcmp(uri, "https://json-schema.org/draft-07/schema") == 0)
		return &draft7;
	return NULL;
}

/* Enters one vocabulary of a custom meta-schema. */
static void
use_vocabulary(MoCompiler *c, const MoNode *node, MoDialect *dialect,
			   const char *uri, bool required)
{
	size_t		stem = strlen(URI_VOCABULARY);

	for (int i = 0; i < lengthof(vocabularies); i++)
	{
		if (strncmp(uri, URI_VOCABULARY, stem) == 0 &&
			strcmp(uri + stem, vocabularies[i].name) == 0)
		{
			dialect->vocabularies |= vocabularies[i].bits;
			if (strcmp(vocabularies[i].name, "format-assertion") == 0)
				dialect->assert_formats = true;
			return;
		}
	}
	if (required)
		mo_compile_fault(c, node, "$schema", NULL,
						 "\"%s\" requires the vocabulary \"%s\", which is not supported",
						 dialect->uri, uri);
}

static void
read_vocabularies(MoCompiler *c, const MoNode *node, MoDialect *dialect,
				  const MoValue *metaschema)
{
	MoValue		list;
	MoCursor	cursor;
	const char *uri;
	uint32		len;
	MoValue		required;

	if (!mo_value_get(metaschema, "$vocabulary", &list) ||
		list.kind != MO_OBJECT)
		return;
	dialect->vocabularies = MO_V_CORE;
	mo_cursor_begin(&cursor, &list);
	while (mo_cursor_member(&cursor, &uri, &len, &required))
		use_vocabulary(c, node, dialect, pnstrdup(uri, len),
					   required.kind == MO_BOOLEAN && required.truth);
}

/* A dialect whose meta-schema is registered, or a fault and NULL. */
static const MoDialect *
custom_dialect(MoCompiler *c, const char *uri, const MoNode *node)
{
	const MoDialect *base = mo_dialect_default();
	MoDialect  *dialect;
	Jsonb	   *document;
	MoValue		metaschema;
	MoValue		v;

	/* Two meta-schemas may name each other as theirs. */
	check_stack_depth();
	if (c->schema->options.contract)
	{
		mo_compile_fault(c, node, "$schema",
						 "Contracts are written in draft 2020-12 or draft-07.",
						 "the meta-schema \"%s\" would change the meaning of the contract when it changes",
						 uri);
		return NULL;
	}
	document = mo_resource_load(c, uri);
	if (document == NULL)
	{
		mo_compile_fault(c, node, "$schema",
						 "Supported are draft 2020-12, draft-07, and meta-schemas registered with mesh_outbox.register_schema().",
						 "the meta-schema \"%s\" is not known", uri);
		return NULL;
	}
	mo_value_root(document, &metaschema);
	if (metaschema.kind == MO_OBJECT &&
		mo_value_get(&metaschema, "$schema", &v) && v.kind == MO_STRING &&
		!mo_key_is(v.data, v.len, uri))
		base = mo_dialect_find(c, mo_value_cstring(&v), node);
	if (base == NULL)
		return NULL;
	dialect = palloc(sizeof(MoDialect));
	*dialect = *base;
	dialect->uri = uri;
	dialect->next = c->dialects;
	c->dialects = dialect;
	if (metaschema.kind == MO_OBJECT)
		read_vocabularies(c, node, dialect, &metaschema);
	return dialect;
}

/* The dialect that a $schema names; NULL after a fault. */
const MoDialect *
mo_dialect_find(MoCompiler *c, const char *uri, const MoNode *node)
{
	char	   *stem = pnstrdup(uri, strlen(uri));
	const MoDialect *dialect;

	if (strchr(stem, '#') && strchr(stem, '#')[1] == '\0')
		*strchr(stem, '#') = '\0';
	dialect = built_in_dialect(stem);
	if (dialect)
		return dialect;
	for (MoDialect *d = c->dialects; d; d = d->next)
	{
		if (strcmp(d->uri, stem) == 0)
			return d;
	}
	for (int i = 0; i < lengthof(unsupported); i++)
	{
		if (strstr(stem, unsupported[i].part))
		{
			mo_compile_fault(c, node, "$schema",
							 "Supported are draft 2020-12 and draft-07.",
							 "JSON Schema %s is not supported",
							 unsupported[i].name);
			return NULL;
		}
	}
	return custom_dialect(c, stem, node);
}
