#include "app/cli/completion.h"

#include "app/cli/commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void every_script_knows_every_command_and_option(void **state) {
    (void)state;
    for (size_t s = 0; s < SHELL_COUNT; s++) {
        Buf script = BUF_INIT(1 << 20);
        SHELLS[s].write(&script);
        assert_int_equal(buf_status(&script, NULL), STATUS_OK);
        bool is_fish = strcmp(SHELLS[s].name, "fish") == 0;
        for (size_t c = 0; c < COMMAND_COUNT; c++) {
            const char *space = strchr(COMMANDS[c].name, ' ');
            assert_non_null(strstr(script.ptr, space != NULL ? space + 1 : COMMANDS[c].name));
            for (size_t i = 0; i < COMMANDS[c].option_count; i++) {
                char name[64];
                snprintf(name, sizeof name, is_fish ? "-l %s" : "--%s",
                         COMMANDS[c].options[i].name);
                assert_non_null(strstr(script.ptr, name));
            }
        }
        buf_free(&script);
    }
}

static void values_are_known_by_their_names(void **state) {
    (void)state;
    const struct {
        const char *name;
        ValueKind kind;
    } cases[] = {{"FILE", VALUE_FILE},
                 {"DIR", VALUE_DIR},
                 {"MODEL_NAME", VALUE_MODEL},
                 {"N", VALUE_ANY},
                 {NULL, VALUE_ANY}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Option option = {.kind = OPTION_TEXT, .value_name = cases[i].name};
        assert_int_equal(completion_option_kind(&option), cases[i].kind);
    }
}

static void words_come_from_the_tables(void **state) {
    (void)state;
    Buf words = BUF_INIT(4096);
    const Option choice = {.kind = OPTION_CHOICE,
                           .choices = (const char *const[]){"gpux", "hf", "raw", NULL}};
    completion_words(&words, &choice, NULL);
    assert_string_equal(words.ptr, "gpux hf raw");
    buf_clear(&words);
    completion_words(&words, NULL, &(Positional){.name = "COMMAND"});
    assert_non_null(strstr(words.ptr, "run batch pull list ls rm remove "));
    buf_clear(&words);
    completion_words(&words, NULL, &(Positional){.name = "SUBCOMMAND"});
    assert_string_equal(words.ptr, "run pull");
    buf_clear(&words);
    completion_words(&words, NULL, &(Positional){.name = "SHELL"});
    assert_string_equal(words.ptr, "bash zsh fish");
    buf_free(&words);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_script_knows_every_command_and_option),
        cmocka_unit_test(values_are_known_by_their_names),
        cmocka_unit_test(words_come_from_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
