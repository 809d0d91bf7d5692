/* What a user of the installed library writes first: a problem checked, and a bad one refused with a reason. */
#include <stdio.h>
#include <string.h>

#include <snapmla/snapmla.h>

int main(void) {
  snapmla_problem problem;
  snapmla_problem_init(&problem);
  if (snapmla_problem_check(&problem)) {
    fprintf(stderr, "the default problem is refused: %s\n", snapmla_error_message());
    return 1;
  }
  problem.heads = -1;
  if (snapmla_problem_check(&problem) != SNAPMLA_INVALID_ARGUMENT || !strstr(snapmla_error_message(), "heads")) {
    fprintf(stderr, "negative heads are not refused by name: %s\n", snapmla_error_message());
    return 1;
  }
  snapmla_page_layout layout = {.size = sizeof layout};
  problem.heads = 128;
  if (snapmla_page_layout_get(&problem, &layout) || layout.image_bytes != 41216) {
    fprintf(stderr, "a page image of rank 512 is not 41216 bytes: %s\n", snapmla_error_message());
    return 1;
  }
  printf("snapmla %s\n", snapmla_version());
  return 0;
}
