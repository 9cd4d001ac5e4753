/*-------------------------------------------------------------------------
 *
 * compile.h
 *	  What the files of the schema compiler share.
 *
 *	  compile.c		subschemas, their keywords' order of work, references
 *	  keyword.c		one function per keyword
 *	  resource.c	$id, anchors, documents, resolution of references
 *	  dialect.c		drafts and vocabularies
 *	  strict.c		what a contract refuses beyond the specification
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_COMPILE_H
#define MO_COMPILE_H

#include "contract/program.h"

typedef enum MoDraft
{
	MO_DRAFT7 = 1,
	MO_DRAFT2020 = 2
} MoDraft;

/* Vocabularies of 2020-12; draft-07 has all but UNEVALUATED. */
#define MO_V_CORE			0x01
#define MO_V_APPLICATOR		0x02
#define MO_V_UNEVALUATED	0x04
#define MO_V_VALIDATION		0x08
#define MO_V_METADATA		0x10
#define MO_V_FORMAT			0x20
#define MO_V_CONTENT		0x40
#define MO_V_ALL			0x7F

/* At a schema's root: contentEncoding and its kin refuse. */
#define MO_ASSERT_CONTENT	"x-assert-content"

struct MoDialect
{
	const char *uri;			/* of the meta-schema */
	MoDraft		draft;
	int			vocabularies;
	bool		assert_formats; /* format-assertion is required */
	struct MoDialect *next;
};

/* A reference that waits until the documents are indexed. */
typedef struct MoReference
{
	MoNode	   *node;
	const char *keyword;		/* $ref or $dynamicRef */
	const char *written;
	struct MoReference *next;
} MoReference;

struct node_hash;

typedef struct MoCompiler
{
	MoSchema   *schema;
	MemoryContext context;		/* the program's */
	MemoryContext scratch;		/* the caller's: gone after the compilation */
	struct node_hash *nodes;	/* subschemas by their place in the jsonb */
	MoNode	   *first;			/* the same in the order of compilation, */
	MoNode	   *last;			/* so that faults come in a fixed order */
	MoReference *references;	/* not resolved yet, newest first */
	struct MoDialect *dialects; /* custom ones that were met */
	const char *loading;		/* URI being loaded, for messages */
	bool		collect;		/* list faults instead of raising the first */
	List	   *faults;			/* of MoViolation */
	char	   *block;			/* what is left of it: mo_compile_alloc() */
	Size		block_left;
	int			nblocks;
} MoCompiler;

typedef struct MoKeyword
{
	const char *name;
	int			drafts;			/* MO_DRAFT7 | MO_DRAFT2020 */
	int			vocabulary;
	void		(*compile) (MoCompiler *c, MoNode *node, const MoValue *v);
} MoKeyword;

/* compile.c */
extern MoSchema *mo_schema_check(Jsonb *schema, const MoSchemaOptions *options,
								 MemoryContext context, List **faults);
extern void *mo_compile_alloc(MoCompiler *c, Size size);
extern void *mo_compile_copy(MoCompiler *c, const void *data, Size size);
extern MoNode *mo_compile_node(MoCompiler *c, const MoValue *schema,
							   MoNode *parent, MoResource *resource,
							   const char *keyword,
							   const char *token, uint32 token_len);
extern MoNode *mo_compile_find(MoCompiler *c, const MoValue *schema);
extern void mo_compile_fault(MoCompiler *c, const MoNode *node,
							 const char *keyword, const char *hint,
							 const char *format,...) pg_attribute_printf(5, 6);
extern void mo_compile_reference(MoCompiler *c, MoNode *node,
								 const char *keyword, const MoValue *v);
extern MoApply *mo_node_apply(MoCompiler *c, MoNode *node);
extern void mo_compile_each(MoCompiler *c,
							void (*visitor) (MoCompiler *c, MoNode *node,
											 void *arg), void *arg);

/* assert.c: keywords that say something of the value itself */
extern void mo_assert_type(MoCompiler *c, MoNode *node, const MoValue *v);
extern void mo_assert_const(MoCompiler *c, MoNode *node, const MoValue *v);
extern void mo_assert_enum(MoCompiler *c, MoNode *node, const MoValue *v);
extern void mo_assert_minimum(MoCompiler *c, MoNode *node, const MoValue *v);
extern void mo_assert_maximum(MoCompiler *c, MoNode *node, const MoValue *v);
extern void mo_assert_exclusive_minimum(MoCompiler *c, MoNode *node,
										const MoValue *v);
extern void mo_assert_exclusive_maximum(MoCompiler *c, MoNode *node,
										const MoValue *v);
extern void mo_assert_multiple_of(MoCompiler *c, MoNode *node,
								  const MoValue *v);
extern void mo_assert_min_length(MoCompiler *c, MoNode *node,
								 const MoValue *v);
extern void mo_assert_max_length(MoCompiler *c, MoNode *node,
								 const MoValue *v);
extern void mo_assert_pattern(MoCompiler *c, MoNode *node, const MoValue *v);
extern void mo_assert_format(MoCompiler *c, MoNode *node, const MoValue *v);
extern void mo_assert_content_encoding(MoCompiler *c, MoNode *node,
									   const MoValue *v);
extern void mo_assert_content_media_type(MoCompiler *c, MoNode *node,
										 const MoValue *v);
extern void mo_assert_min_items(MoCompiler *c, MoNode *node,
								const MoValue *v);
extern void mo_assert_max_items(MoCompiler *c, MoNode *node,
								const MoValue *v);
extern void mo_assert_unique_items(MoCompiler *c, MoNode *node,
								   const MoValue *v);
extern void mo_assert_min_contains(MoCompiler *c, MoNode *node,
								   const MoValue *v);
extern void mo_assert_max_contains(MoCompiler *c, MoNode *node,
								   const MoValue *v);
extern void mo_assert_min_properties(MoCompiler *c, MoNode *node,
									 const MoValue *v);
extern void mo_assert_max_properties(MoCompiler *c, MoNode *node,
									 const MoValue *v);
extern void mo_assert_required(MoCompiler *c, MoNode *node, const MoValue *v);
extern bool mo_assert_names(MoCompiler *c, MoNode *node, const char *keyword,
							const MoValue *v, MoNames *names);
extern MoStringRules *mo_node_string(MoCompiler *c, MoNode *node);
extern MoArrayRules *mo_node_array(MoCompiler *c, MoNode *node);
extern MoObjectRules *mo_node_object(MoCompiler *c, MoNode *node);
extern MoNumberRules *mo_node_number(MoCompiler *c, MoNode *node);

/* check.c */
extern List *mo_schema_faults(Jsonb *schema, bool contract);

/* keyword.c */
extern const MoKeyword *mo_keyword_find(const char *name, uint32 len);
extern const MoKeyword *mo_keyword_table(int *count);
extern void mo_keyword_finish(MoCompiler *c, MoNode *node);

/* resource.c */
extern MoResource *mo_resource_add(MoCompiler *c, const char *uri,
								   const MoDialect *dialect,
								   const MoValue *document, bool external);
extern MoResource *mo_resource_document(MoCompiler *c, Jsonb *document,
										const char *uri,
										const MoDialect *dialect,
										bool external);
extern MoResource *mo_resource_enter(MoCompiler *c, const MoNode *node,
									 const MoValue *schema,
									 MoResource *outer);
extern void mo_resource_anchor(MoCompiler *c, MoNode *node,
							   const char *keyword, const MoValue *v);
extern void mo_resource_resolve(MoCompiler *c, MoReference *reference);
extern Jsonb *mo_resource_load(MoCompiler *c, const char *uri);

/* uri.c */
extern char *mo_uri_resolve(const char *base, const char *reference);
extern bool mo_uri_is_absolute(const char *uri);
extern char *mo_uri_decode(const char *s);

/* dialect.c */
extern const MoDialect *mo_dialect_default(void);
extern const MoDialect *mo_dialect_find(MoCompiler *c, const char *uri,
										const MoNode *node);
extern const char *mo_metaschema_text(const char *uri);

/* duplicates.c */
extern List *mo_duplicates_find(text *json);
extern bool mo_json_text_is_valid(text *json);

/* strict.c */
extern void mo_strict_keyword(MoCompiler *c, MoNode *node,
							  const char *name, uint32 len, const MoValue *v,
							  const MoKeyword *keyword);
extern void mo_strict_required(MoCompiler *c);

#endif							/* MO_COMPILE_H */
