// SPDX-License-Identifier: Apache-2.0
// skip_template.h: the body of a value skipper, included by skip.c once per processor variant.
//
// Before including, define SKIP_NAME (the function), SKIP_FIND (the byte search, inlined here) and SKIP_TARGET (a target attribute or
// nothing). One loop, no recursion: a bit per open container says whether it is an object. Every byte is checked against the grammar.
// (No include guard: being included several times is what it is for.)
SKIP_TARGET static bool SKIP_NAME(struct json_cursor *c) {
    uint64_t objects[JSON_DEPTH_MAX / 64 + 1];  // bit: the container at this depth is an object
    const uint32_t base_depth = c->depth;
    uint32_t depth = base_depth;
    for (;;) {
        if (c->next >= c->end) return false;
        switch (*c->next) {
        case '"': {
            const char *start = ++c->next;
            uint32_t high = 0;
            const char *p = SKIP_FIND(c->begin, start, c->end, &high);
            if (p < c->end && *p == '"' && !(high && (c->flags & JSON_FLAG_STRICT_UTF8))) {
                c->next = p + 1;
            } else {
                struct json_string ignored;
                if (!json_scan_string_rest(c, p, '"', high, &ignored)) return false;
            }
            break;
        }
        case '{':
        case '[': {
            bool is_object = *c->next++ == '{';
            if (depth >= c->depth_limit) return false;
            depth++;
            bitmap_put(objects, depth, is_object);
            int first = json_peek(c);
            if (first == (is_object ? '}' : ']')) {
                c->next++;
                depth--;
                break;
            }
            if (is_object && !skip_key(c)) return false;
            if (!is_object && first < 0) return false;
            continue;
        }
        default:
            if (!skip_scalar(c)) return false;
        }
        // A value has ended: close what ends with it, or go to the next member.
        for (;;) {
            if (depth == base_depth) return true;
            int byte = json_peek(c);
            bool in_object = bitmap_get(objects, depth);
            if (byte == ',') {
                c->next++;
                if (json_peek(c) < 0) return false;
                if (in_object && !skip_key(c)) return false;
                break;
            }
            if (byte != (in_object ? '}' : ']')) return false;
            c->next++;
            depth--;
        }
    }
}
#undef SKIP_NAME
#undef SKIP_FIND
#undef SKIP_TARGET
