#include "app/cli/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static int run_nothing(struct Cli *cli) {
    (void)cli;
    return 0;
}

static const Positional POSITIONALS[] = {{"MODEL", true, "help"}, {"PROMPT", false, "help"}};
static const Option OPTIONS[] = {
    {.name = "input", .short_name = 'i', .kind = OPTION_TEXT, .value_name = "JSON"},
    {.name = "json", .alias = "json-output", .kind = OPTION_FLAG},
    {.name = "verbose", .short_name = 'v', .kind = OPTION_FLAG},
    {.name = "runs", .kind = OPTION_NUMBER, .fallback = "100", .min = 1, .max = 100000},
    {.name = "opset", .kind = OPTION_NUMBER, .min = 13, .max = 23},
    {.name = "format",
     .kind = OPTION_CHOICE,
     .fallback = "gpux",
     .choices = (const char *const[]){"gpux", "hf", "raw", NULL}},
    {.name = "help", .short_name = 'h', .kind = OPTION_FLAG},
};
static const Command COMMAND = {
    .name = "run",
    .positionals = POSITIONALS,
    .positional_count = COUNT(POSITIONALS),
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = run_nothing,
};

#define PARSE(args, error, ...)                                                                    \
    args_parse(args, &COMMAND, (int)COUNT(((char *[]){__VA_ARGS__})), (char *[]){__VA_ARGS__},     \
               false, error)

static void options_and_arguments_come_in_any_order(void **state) {
    (void)state;
    Args args;
    assert_int_equal(PARSE(&args, NULL, "--json", "m", "-i", "{}", "hello", "-v"), STATUS_OK);
    assert_string_equal(args_positional(&args, 0), "m");
    assert_string_equal(args_positional(&args, 1), "hello");
    assert_null(args_positional(&args, 2));
    assert_string_equal(args_text(&args, "input"), "{}");
    assert_true(args_flag(&args, "json"));
    assert_true(args_flag(&args, "verbose"));
}

static void values_are_attached_or_apart(void **state) {
    (void)state;
    Args args;
    assert_int_equal(PARSE(&args, NULL, "m", "--input=a=b"), STATUS_OK);
    assert_string_equal(args_text(&args, "input"), "a=b");
    assert_int_equal(PARSE(&args, NULL, "m", "--input", "x"), STATUS_OK);
    assert_string_equal(args_text(&args, "input"), "x");
    assert_int_equal(PARSE(&args, NULL, "m", "-ix"), STATUS_OK);
    assert_string_equal(args_text(&args, "input"), "x");
    assert_int_equal(PARSE(&args, NULL, "m", "-vi", "-"), STATUS_OK);
    assert_string_equal(args_text(&args, "input"), "-");
    assert_true(args_flag(&args, "verbose"));
    assert_int_equal(PARSE(&args, NULL, "m", "--input="), STATUS_OK);
    assert_string_equal(args_text(&args, "input"), "");
}

static void two_dashes_end_the_options(void **state) {
    (void)state;
    Args args;
    assert_int_equal(PARSE(&args, NULL, "m", "--", "--json"), STATUS_OK);
    assert_string_equal(args_positional(&args, 1), "--json");
    assert_false(args_flag(&args, "json"));
}

static void the_last_flag_counts_and_no_takes_it_back(void **state) {
    (void)state;
    Args args;
    assert_int_equal(PARSE(&args, NULL, "m", "--json", "--no-json"), STATUS_OK);
    assert_false(args_flag(&args, "json"));
    assert_true(args_is_set(&args, "json"));
    assert_int_equal(PARSE(&args, NULL, "m", "--no-json", "--json-output"), STATUS_OK);
    assert_true(args_flag(&args, "json"));
}

static void a_value_option_has_no_negation(void **state) {
    (void)state;
    Args args;
    Error error = {0};
    assert_int_equal(PARSE(&args, &error, "m", "--no-runs"), STATUS_INVALID);
    assert_string_equal(error.message, "No such option: --no-runs");
    assert_int_equal(PARSE(&args, &error, "m", "--no-help"), STATUS_INVALID);
}

static void an_absent_option_has_its_fallback(void **state) {
    (void)state;
    Args args;
    assert_int_equal(PARSE(&args, NULL, "m"), STATUS_OK);
    assert_int_equal(args_number(&args, "runs"), 100);
    assert_false(args_is_set(&args, "runs"));
    assert_null(args_text(&args, "input"));
    assert_int_equal(args_number(&args, "opset"), 0);
    assert_string_equal(args_text(&args, "format"), "gpux");
}

static void an_unknown_option_is_named_with_the_closest(void **state) {
    (void)state;
    Args args;
    Error error = {0};
    assert_int_equal(PARSE(&args, &error, "m", "--xyz"), STATUS_INVALID);
    assert_string_equal(error.message, "No such option: --xyz");
    assert_string_equal(args.hint, "");
    assert_int_equal(PARSE(&args, &error, "m", "--vrebose=1"), STATUS_INVALID);
    assert_string_equal(error.message, "No such option: --vrebose");
    assert_string_equal(args.hint, "Did you mean --verbose?");
    assert_int_equal(PARSE(&args, &error, "m", "--no-verbos"), STATUS_INVALID);
    assert_string_equal(args.hint, "Did you mean --no-verbose?");
    assert_int_equal(PARSE(&args, &error, "m", "-z"), STATUS_INVALID);
    assert_string_equal(error.message, "No such option: -z");
}

static void numbers_are_checked_against_their_range(void **state) {
    (void)state;
    Args args;
    Error error = {0};
    assert_int_equal(PARSE(&args, &error, "m", "--runs", "0"), STATUS_INVALID);
    assert_string_equal(error.message,
                        "Invalid value for '--runs': '0' is not a whole number of at least 1");
    assert_int_equal(PARSE(&args, &error, "m", "--runs", "100001"), STATUS_INVALID);
    assert_string_equal(error.message, "Invalid value for '--runs': '100001' is more than 100000");
    assert_int_equal(PARSE(&args, &error, "m", "--opset", "1e1"), STATUS_INVALID);
    assert_string_equal(error.message,
                        "Invalid value for '--opset': '1e1' is not a whole number from 13 to 23");
    assert_int_equal(PARSE(&args, &error, "m", "--runs", "99999999999999999999"), STATUS_INVALID);
    assert_int_equal(PARSE(&args, &error, "m", "--runs=7"), STATUS_OK);
    assert_int_equal(args_number(&args, "runs"), 7);
}

static void a_choice_takes_the_spelling_of_the_table(void **state) {
    (void)state;
    Args args;
    Error error = {0};
    assert_int_equal(PARSE(&args, &error, "m", "--format", "HF"), STATUS_OK);
    assert_string_equal(args_text(&args, "format"), "hf");
    assert_int_equal(PARSE(&args, &error, "m", "--format", "xml"), STATUS_INVALID);
    assert_string_equal(error.message,
                        "Invalid value for '--format': 'xml' is not one of gpux, hf, raw");
}

static void a_choice_may_stand_alone_where_the_table_says_so(void **state) {
    (void)state;
    static const char *const choices[] = {"low", "high", NULL};
    static const Option options[] = {
        {.name = "tune", .kind = OPTION_CHOICE, .choices = choices, .bare = "low"}};
    static const Positional positionals[] = {{"PATH", false, ""}};
    static const Command command = {.name = "x",
                                    .options = options,
                                    .option_count = 1,
                                    .positionals = positionals,
                                    .positional_count = 1};
    static const struct {
        char *argv[2];
        int argc;
        const char *value, *path;
    } cases[] = {{{"--tune"}, 1, "low", NULL},
                 {{"--tune", "HIGH"}, 2, "high", NULL},
                 {{"--tune=high"}, 1, "high", NULL},
                 {{"--tune", "here"}, 2, "low", "here"},
                 {{"here", "--tune"}, 2, "low", "here"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Args args;
        assert_int_equal(args_parse(&args, &command, cases[i].argc, cases[i].argv, false, NULL),
                         STATUS_OK);
        assert_string_equal(args_text(&args, "tune"), cases[i].value);
        assert_true((args_positional(&args, 0) == NULL) == (cases[i].path == NULL));
    }
}

static void a_forgotten_value_is_noticed(void **state) {
    (void)state;
    Args args;
    Error error = {0};
    assert_int_equal(PARSE(&args, &error, "m", "--input"), STATUS_INVALID);
    assert_string_equal(error.message, "Option '--input' requires a value");
    assert_int_equal(PARSE(&args, &error, "m", "-i", "--json"), STATUS_INVALID);
    assert_string_equal(error.message, "Option '-i' requires a value");
    assert_int_equal(PARSE(&args, &error, "m", "--json=1"), STATUS_INVALID);
    assert_string_equal(error.message, "Option '--json' does not take a value");
}

static void missing_and_extra_arguments_are_errors(void **state) {
    (void)state;
    Args args;
    Error error = {0};
    assert_int_equal(PARSE(&args, &error, "--json"), STATUS_INVALID);
    assert_string_equal(error.message, "Missing argument 'MODEL'");
    assert_int_equal(PARSE(&args, &error, "a", "b", "c"), STATUS_INVALID);
    assert_string_equal(error.message, "Got unexpected extra argument 'c'");
}

static void help_ends_the_parse_before_anything_can_be_missing(void **state) {
    (void)state;
    Args args;
    assert_int_equal(PARSE(&args, NULL, "--help", "--bogus"), STATUS_OK);
    assert_true(args.wants_help);
    assert_int_equal(PARSE(&args, NULL, "-h"), STATUS_OK);
    assert_true(args.wants_help);
}

static void the_parse_can_stop_at_the_command(void **state) {
    (void)state;
    Args args;
    char *argv[] = {"-v", "run", "--bogus"};
    assert_int_equal(args_parse(&args, &COMMAND, 3, argv, true, NULL), STATUS_OK);
    assert_int_equal(args.consumed, 1);
    assert_int_equal(args.positional_count, 0);
}

static void a_variable_is_checked_like_an_option(void **state) {
    (void)state;
    ArgValue value = {0};
    Error error = {0};
    const Option *runs = args_find_option(&COMMAND, "runs");
    assert_int_equal(args_check(&value, runs, "5", "GPUX_RUNS", &error), STATUS_OK);
    assert_int_equal(value.number, 5);
    assert_int_equal(args_check(&value, runs, "no", "GPUX_RUNS", &error), STATUS_INVALID);
    assert_string_equal(error.message,
                        "Invalid value for 'GPUX_RUNS': 'no' is not a whole number of at least 1");
}

static const Option RANGE = {
    .name = "seq-len", .kind = OPTION_RANGE, .value_name = "N", .min = 1, .max = 1000};

static void a_range_is_a_number_or_two(void **state) {
    (void)state;
    ArgValue value = {0};
    assert_int_equal(args_check(&value, &RANGE, "128", "--seq-len", NULL), STATUS_OK);
    assert_int_equal(value.number, 128);
    assert_int_equal(value.low, 0);
    assert_int_equal(args_check(&value, &RANGE, "8-1000", "--seq-len", NULL), STATUS_OK);
    assert_int_equal(value.low, 8);
    assert_int_equal(value.number, 1000);
    assert_int_equal(args_check(&value, &RANGE, "8-8", "--seq-len", NULL), STATUS_OK);
    const char *const wrong[] = {"", "-", "-5", "8-", "9-8", "0-8", "8-1001", "1-2-3", "a-b"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        Error error = {0};
        assert_int_equal(args_check(&value, &RANGE, wrong[i], "--seq-len", &error), STATUS_INVALID);
        assert_non_null(strstr(error.message, "--seq-len"));
    }
}

static void the_last_argument_can_come_many_times(void **state) {
    (void)state;
    static const Positional MODELS[] = {{"MODEL...", false, "models"}};
    Command command = {.name = "rm", .positionals = MODELS, .positional_count = 1};
    command.is_last_repeated = true;
    static char *const argv[] = {"a", "b", "c"};
    Args args;
    assert_int_equal(args_parse(&args, &command, 3, argv, false, NULL), STATUS_OK);
    assert_int_equal(args.positional_count, 3);
    assert_string_equal(args_positional(&args, 2), "c");
    assert_null(args_positional(&args, 3));
    char *many[ARGS_MAX_POSITIONALS + 1];
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = "x";
    assert_int_equal(args_parse(&args, &command, COUNT(many), many, false, NULL), STATUS_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_arguments_come_in_any_order),
        cmocka_unit_test(values_are_attached_or_apart),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(the_last_flag_counts_and_no_takes_it_back),
        cmocka_unit_test(a_value_option_has_no_negation),
        cmocka_unit_test(an_absent_option_has_its_fallback),
        cmocka_unit_test(an_unknown_option_is_named_with_the_closest),
        cmocka_unit_test(numbers_are_checked_against_their_range),
        cmocka_unit_test(a_choice_takes_the_spelling_of_the_table),
        cmocka_unit_test(a_choice_may_stand_alone_where_the_table_says_so),
        cmocka_unit_test(a_forgotten_value_is_noticed),
        cmocka_unit_test(missing_and_extra_arguments_are_errors),
        cmocka_unit_test(help_ends_the_parse_before_anything_can_be_missing),
        cmocka_unit_test(the_parse_can_stop_at_the_command),
        cmocka_unit_test(a_variable_is_checked_like_an_option),
        cmocka_unit_test(a_range_is_a_number_or_two),
        cmocka_unit_test(the_last_argument_can_come_many_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
