// SPDX-License-Identifier: Apache-2.0
// outline_template.h: the body of following an outline, included by outline.c once per processor variant.
//
// Before including, define OUTLINE_NAME (the function), OUTLINE_MATCH (compares a step's text), OUTLINE_FIND (the byte search in strings)
// and OUTLINE_TARGET (a target attribute or nothing). JSON_READ_MALFORMED: the document strays. (Being included several times is what it
// is for.)
OUTLINE_TARGET static enum json_read OUTLINE_NAME(struct json_reader *r, const struct json_outline *outline, uint32_t slot) {
    struct json_cursor *c = &r->cursor;
    const char *p = c->next, *const end = c->end;
    const bool strict = (c->flags & JSON_FLAG_STRICT_UTF8) != 0;
    enum json_read result = JSON_READ_OK;
    for (const struct json_outline_step *step = outline->steps;; step++) {
        if (!OUTLINE_MATCH(step, p, end)) return JSON_READ_MALFORMED;
        p += step->size_bytes;
        if (step->action == JSON_OUTLINE_TEXT) continue;
        if (step->action == JSON_OUTLINE_END) break;
        if (p == end) return JSON_READ_MALFORMED;
        if (*p == '"' && step->action <= JSON_OUTLINE_LEAF) {
            uint32_t high = 0;
            const char *text = p + 1, *close = OUTLINE_FIND(c, text, end, &high);
            size_t size_bytes = (size_t)(close - text);
            bool plain = close < end && *close == '"' && (!high || (step->action == JSON_OUTLINE_SKIP ? !strict : utf8_valid(text, size_bytes)));
            if (plain && size_bytes <= UINT32_MAX / 4) {
                p = close + 1;
                if (step->action == JSON_OUTLINE_SKIP) continue;
                if (step->action == JSON_OUTLINE_STRING) {
                    json_store_view(c, step->node, slot, text, size_bytes);
                    continue;
                }
                enum json_read read = json_leaf_of_text(r, step->node, slot, text, size_bytes);
                if (read >= JSON_READ_MALFORMED) return read;
                if (read != JSON_READ_OK) result = JSON_READ_PARTIAL;
                continue;
            }
        } else if (step->action <= JSON_OUTLINE_STRING) {
            const char *number_end = plain_number_end(p, end);
            if (number_end) {
                if (step->action == JSON_OUTLINE_STRING) json_store_view(c, step->node, slot, p, (size_t)(number_end - p));
                p = number_end;
                continue;
            }
        }
        if ((unsigned char)*p <= ' ' || *p == '/') return JSON_READ_MALFORMED;  // blanks and comments are the walk's
        c->next = p;
        c->depth = step->depth;
        if (step->action == JSON_OUTLINE_SKIP) {
            if (!c->scanner->skip_value(c)) return JSON_READ_MALFORMED;
        } else {
            enum json_read read = json_read_value(r, step->node, slot);
            if (read >= JSON_READ_MALFORMED) return read;
            if (read != JSON_READ_OK) result = JSON_READ_PARTIAL;
        }
        p = c->next;
    }
    c->next = p;
    c->depth = 0;
    for (uint32_t i = 0; i < outline->struct_count; i++) bitmap_set(outline->structs[i]->validity, slot);
    return result;
}
#undef OUTLINE_NAME
#undef OUTLINE_MATCH
#undef OUTLINE_FIND
#undef OUTLINE_TARGET
